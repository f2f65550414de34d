from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck.capture.skeleton import divide
from limbeck.errors import ConfigError, StudentError
from limbeck.evaluate.promotion import (
    Standing,
    close,
    confirm,
    promote,
    promotion_path,
    read_promotion,
)
from limbeck.evaluate.rule import confidence_of
from limbeck.evaluate.signals.marks import Marked, mark
from limbeck.evaluate.signals.reading import Reading
from limbeck.evaluate.signals.table import USUAL
from limbeck.models.call import Call
from limbeck.models.local import Said
from limbeck.serve import cascade as cascading_module
from limbeck.serve.cascade import (
    Cascade,
    Seat,
    decide,
    open_cascade,
    refuse_unasked,
)
from limbeck.serve.student import routing_of
from limbeck.types import AnswerForm, Ask, Closing, GroupRule, Policy, StudentCard, Task
from limbeck.workspace import Workspace

TASK = Task(
    name="refunds",
    instruction="Decide.",
    answer=AnswerForm(kind="choice", choices=("grant", "deny")),
)
CALL = Call(model="teacher-1", system="Decide.", user="Order 7")
POLICY = Policy(
    task="refunds",
    student="sha256:student",
    skeleton=TASK.skeleton,
    max_risk=0.05,
    confidence=0.95,
    signals=tuple(USUAL),
    center=(0.0,) * len(USUAL),
    scale=(1.0,) * len(USUAL),
    # Only the least likely token counts, so that a confidence can be worked out by hand.
    weights=(1.0,) + (0.0,) * (len(USUAL) - 1),
    bias=2.0,
    threshold=0.5,
    truth_source="gold",
    n_fit=100,
    n_bound=100,
    n_accepted=90,
    n_errors=1,
    p_value=0.01,
    calibration_hash="sha256:calibration",
)


def said(answer: str | None = "grant", lowest: float = -0.1) -> Marked:
    reply = Said(
        answer=answer,
        rationale="never shown",
        logprobs=(lowest,),
        margin=1.0,
        rationale_logprob=0.0,
        new_tokens=2,
        stopped=True,
    )
    return mark(POLICY, TASK, Reading("Order 7", reply, TASK, answer))


# ---- the rules ----------------------------------------------------------------------------------


def test_a_plain_call_of_a_promoted_task_may_go_to_the_student() -> None:
    assert refuse_unasked(POLICY, TASK, CALL, divide(TASK, CALL, {})) is None


@pytest.mark.parametrize(
    ("policy", "task", "call", "reason"),
    [
        ({}, {}, {"turns": 3}, "not a single question in text"),
        ({}, {}, {"has_tools": True}, "not a single question in text"),
        ({}, {}, {"has_media": True}, "not a single question in text"),
        ({}, {}, {"candidates": 2}, "not a single question in text"),
        ({}, {}, {"system": "Decide kindly."}, "the instructions differ"),
        ({}, {}, {"system": ""}, "the instructions differ"),
        ({"skeleton": "sha256:old"}, {}, {}, "the instructions differ"),
    ],
)
def test_a_call_that_the_student_may_not_see_goes_to_the_teacher_with_a_reason(
    policy: dict[str, Any], task: dict[str, Any], call: dict[str, Any], reason: str
) -> None:
    asked = replace(CALL, **call)
    found = refuse_unasked(
        POLICY.model_copy(update=policy),
        TASK.model_copy(update=task),
        asked,
        divide(TASK, asked, {}),
    )
    assert found is not None
    assert reason in found


def test_white_space_around_the_instructions_does_not_count() -> None:
    padded = replace(CALL, system=" Decide.\n")
    assert refuse_unasked(POLICY, TASK, padded, divide(TASK, padded, {})) is None


def test_an_answer_above_the_threshold_is_local() -> None:
    decision = decide(POLICY, TASK, said("GRANT", lowest=-1.0))
    assert (decision.local, decision.answer) == (True, "grant")
    assert decision.confidence == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_an_answer_exactly_at_the_threshold_is_local_and_just_below_is_not() -> None:
    reply = said(lowest=-1.0)
    [exact] = confidence_of(POLICY, np.array([reply.signals])).tolist()
    at = POLICY.model_copy(update={"threshold": exact})
    above = POLICY.model_copy(update={"threshold": float(np.nextafter(exact, 1))})
    assert decide(at, TASK, reply).local
    refused = decide(above, TASK, reply)
    assert (refused.local, refused.answer, refused.reason) == (
        False,
        "grant",
        "below the threshold",
    )


@pytest.mark.parametrize("answer", [None, "perhaps", "grant or deny", ""])
def test_an_answer_that_is_not_in_form_is_never_local(answer: str | None) -> None:
    decision = decide(POLICY, TASK, said(answer, lowest=0.0))
    assert (decision.local, decision.answer, decision.confidence) == (False, None, None)
    assert "not in the task's form" in decision.reason


def test_without_a_threshold_nothing_is_local() -> None:
    none = POLICY.model_copy(update={"threshold": None})
    decision = decide(none, TASK, said(lowest=0.0))
    assert (decision.local, decision.answer) == (False, "grant")
    assert "no threshold kept the promise" in decision.reason


def test_where_the_stakes_are_high_the_students_answer_is_a_suggestion() -> None:
    decision = decide(POLICY, TASK.model_copy(update={"stakes": "high"}), said(lowest=0.0))
    assert (decision.local, decision.answer) == (False, "grant")
    assert "the stakes are high" in decision.reason


def test_a_decision_can_be_made_again_from_what_its_trace_keeps() -> None:
    decision = decide(POLICY, TASK, said("GRANT", lowest=-1.0))
    routing = routing_of(decision, local=decision.local)
    assert routing is not None
    assert routing.policy == POLICY.id
    again = decide(POLICY, TASK, Marked(routing.answer, routing.signals))
    assert (again.local, again.confidence) == (routing.local, routing.confidence)


def test_a_group_has_a_threshold_of_its_own_and_an_unknown_group_has_none() -> None:
    rule = GroupRule(name="grant", threshold=0.4, n_bound=9, n_accepted=9, n_errors=0, p_value=0.01)
    by_label = POLICY.model_copy(
        update={"grouped_by": "label", "groups": (rule,), "threshold": 0.4}
    )
    assert decide(by_label, TASK, said("grant")).local
    other = decide(by_label, TASK, said("deny"))
    assert (other.local, other.reason) == (False, "nothing is promised for calls of this group")
    by_caller = by_label.model_copy(update={"grouped_by": "group"})
    assert decide(by_caller, TASK, said("deny"), group="grant").local
    assert not decide(by_caller, TASK, said("grant"), group="another").local
    assert not decide(by_caller, TASK, said("grant")).local


# ---- asking -------------------------------------------------------------------------------------

Answer = Callable[[str], Awaitable[Marked]]


def cascade(ask: Answer) -> Cascade:
    return Cascade(Seat(POLICY, ask))


async def sure(text: str) -> Marked:
    return said()


async def _one(cascading: Cascade) -> Any:
    return await cascading(TASK, CALL, divide(TASK, CALL, {}))


def test_a_student_that_raises_fails_its_call_and_answers_the_next() -> None:
    replies = iter([ValueError("out of memory"), None])

    async def ask(text: str) -> Marked:
        error = next(replies)
        if error is not None:
            raise error
        return said()

    async def main() -> None:
        cascading = cascade(ask)
        with pytest.raises(ValueError, match="out of memory"):
            await _one(cascading)
        assert (await _one(cascading)).local

    asyncio.run(main())


def test_a_call_that_is_refused_never_reaches_the_student() -> None:
    async def ask(text: str) -> Marked:
        raise AssertionError(f"asked for {text}")

    async def main() -> None:
        cascading = cascade(ask)
        other = TASK.model_copy(update={"name": "ledger"})
        turns = replace(CALL, turns=2)
        for task, call in ((TASK, turns), (other, CALL)):
            decision = await cascading(task, call, divide(task, call, {}))
            assert (decision.local, decision.answer) == (False, None)

    asyncio.run(main())


def test_the_group_of_a_call_has_its_own_threshold_and_the_decision_can_be_made_again() -> None:
    rule = GroupRule(name="gold", threshold=0.4, n_bound=9, n_accepted=9, n_errors=0, p_value=0.01)
    policy = POLICY.model_copy(update={"grouped_by": "group", "groups": (rule,), "threshold": 0.4})

    async def main() -> None:
        cascading = Cascade(Seat(policy, sure))
        for group, local in (("gold", True), ("silver", False), (None, False)):
            found = await cascading(TASK, CALL, divide(TASK, CALL, {}), group)
            assert (found.local, found.group) == (local, group)
            routing = routing_of(found, local=found.local)
            assert routing is not None
            marked = Marked(routing.answer, routing.signals)
            assert decide(policy, TASK, marked, group=routing.group).local == local

    asyncio.run(main())


# ---- promotion ----------------------------------------------------------------------------------


@pytest.fixture
def student(workspace: Workspace) -> tuple[Path, Policy]:
    card = StudentCard(
        task=TASK,
        recipe="label",
        ask=Ask(control="answer", order="answer", causal=False),
        base="nano",
        parameters=1,
        dataset="sha256:data",
        train_examples=1,
        skeleton=TASK.skeleton,
        simulated=True,
        seed=0,
        steps=1,
        tokens_seen=1,
        seconds=1.0,
        max_new_tokens=4,
        weights="sha256:weights",
        version="0",
    )
    folder = workspace.students / "refunds-label-s0"
    folder.mkdir()
    (folder / "limbeck.json").write_text(card.model_dump_json())
    (workspace.tasks_folder / "refunds.toml").write_text(
        '[answer]\nkind = "choice"\nchoices = ["grant", "deny"]\n'
    )
    return folder, POLICY.model_copy(update={"student": card.id})


def test_a_promotion_is_read_back_and_replaced_whole(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, policy = student
    assert read_promotion(workspace, "refunds") is None
    path = promote(workspace, folder, policy)
    assert path == promotion_path(workspace, "refunds")
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert (found.student_folder, found.policy) == (folder.name, policy)
    newer = policy.model_copy(update={"threshold": 0.9})
    promote(workspace, folder, newer)
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.policy == newer
    assert [file.name for file in path.parent.iterdir()] == ["refunds.json"]


def test_the_policy_of_another_student_is_refused(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, _ = student
    with pytest.raises(StudentError, match="the policy was fitted for another student"):
        promote(workspace, folder, POLICY)
    assert read_promotion(workspace, "refunds") is None


def test_a_damaged_promotion_is_one_sentence(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    path = promote(workspace, *student)
    for damage in (b"{", b"\xff", b'{"student_folder": "x"}'):
        path.write_bytes(damage)
        with pytest.raises(ConfigError, match="is damaged; promote the student again"):
            read_promotion(workspace, "refunds")


def test_a_workspace_without_promotions_has_a_cascade_that_asks_the_teacher(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    decision = asyncio.run(_one(open_cascade(workspace)))
    assert (decision.local, decision.reason) == (False, "no policy is promoted for this task")


def test_a_promoted_student_that_is_gone_is_named_at_the_start(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, policy = student
    promote(workspace, folder, policy)
    (folder / "limbeck.json").unlink()
    with pytest.raises(StudentError, match=folder.name):
        open_cascade(workspace)


def test_a_policy_over_unknown_signals_does_not_serve(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, policy = student
    promote(workspace, folder, policy.model_copy(update={"signals": ("of an earlier version",)}))
    with pytest.raises(StudentError, match="limbeck calibrate refunds-label-s0"):
        open_cascade(workspace)


def test_a_student_that_changed_since_its_policy_was_fitted_does_not_serve(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, policy = student
    promote(workspace, folder, policy)
    card = folder / "limbeck.json"
    card.write_text(card.read_text().replace("sha256:weights", "sha256:others"))
    with pytest.raises(StudentError, match="limbeck calibrate"):
        open_cascade(workspace)


def test_a_closed_policy_answers_no_more_and_no_restart_is_needed(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, policy = student
    promote(workspace, folder, policy)
    cascading = Cascade(Seat(policy, sure, Standing(workspace, policy)))
    assert asyncio.run(_one(cascading)).local
    closing = Closing(reason="broken", audits=60, errors=20, at=datetime.now(UTC))
    assert close(workspace, "refunds", policy.id, closing)
    decision = asyncio.run(_one(cascading))
    assert (decision.local, decision.answer) == (False, None)
    assert "was closed" in decision.reason
    assert not close(workspace, "refunds", policy.id, closing)
    assert asyncio.run(_one(open_cascade(workspace))).reason == (
        "no policy is promoted for this task"
    )


def test_a_promotion_that_is_damaged_gone_or_another_stops_the_student(
    workspace: Workspace, student: tuple[Path, Policy]
) -> None:
    folder, policy = student
    stands = Standing(workspace, policy)
    assert not stands()
    path = promote(workspace, folder, policy)
    assert stands()
    path.write_text("{")
    assert not stands()
    promote(workspace, folder, policy)
    assert stands()
    promote(workspace, folder, policy.model_copy(update={"threshold": 0.9}))
    assert not stands()
    closing = Closing(reason="broken", audits=60, errors=20, at=datetime.now(UTC))
    assert not close(workspace, "refunds", policy.id, closing)
    path.unlink()
    assert not stands()


class Sure:
    """A student that is sure of everything."""

    def __init__(self, *_: object) -> None:
        return None

    async def __call__(self, text: str) -> Marked:
        return said()

    def close(self) -> None:
        return None


def test_a_canary_decides_its_share_of_the_calls_and_the_policy_before_it_the_others(
    workspace: Workspace, student: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, policy = student
    monkeypatch.setattr(cascading_module, "StudentProcess", Sure)
    canary = policy.model_copy(update={"threshold": 0.4})
    promote(workspace, folder, policy)
    cascading = open_cascade(workspace)
    assert _deciders(cascading) == {policy.id}
    promote(workspace, folder, canary, share=0.5)
    cascading.refresh()
    assert _deciders(cascading) == {policy.id, canary.id}
    closing = Closing(reason="broken", audits=60, errors=20, at=datetime.now(UTC))
    assert close(workspace, "refunds", canary.id, closing)
    # At once, before anything is loaded again: it decides nothing, and its calls go to the teacher.
    assert _deciders(cascading) == {policy.id, None}
    cascading.refresh()
    assert _deciders(cascading) == {policy.id}
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert (found.policy, found.withdrawn) == (policy, closing)


def test_a_canary_that_is_confirmed_decides_all_calls(
    workspace: Workspace, student: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, policy = student
    monkeypatch.setattr(cascading_module, "StudentProcess", Sure)
    canary = policy.model_copy(update={"threshold": 0.4})
    promote(workspace, folder, policy)
    promote(workspace, folder, canary, share=0.01)
    assert not confirm(workspace, "refunds", policy.id)
    assert confirm(workspace, "refunds", canary.id)
    assert not confirm(workspace, "refunds", canary.id)
    assert _deciders(open_cascade(workspace)) == {canary.id}


def test_a_canary_without_a_policy_before_it_leaves_the_rest_to_the_teacher(
    workspace: Workspace, student: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, policy = student
    monkeypatch.setattr(cascading_module, "StudentProcess", Sure)
    promote(workspace, folder, policy, share=0.5)
    assert _deciders(open_cascade(workspace)) == {policy.id, None}


def test_a_student_that_is_served_elsewhere_is_asked_there(
    workspace: Workspace, student: tuple[Path, Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, policy = student
    url = "http://127.0.0.1:8000/v1"
    with (workspace.root / "limbeck.toml").open("a") as file:
        file.write(f'\n[gateway.students]\nrefunds = "{url}"\n')
    asked: list[tuple[Any, ...]] = []

    def elsewhere(*given: Any) -> Sure:
        asked.append(given)
        return Sure()

    monkeypatch.setattr(cascading_module, "StudentAtUrl", elsewhere)
    promote(workspace, folder, policy)
    assert _deciders(open_cascade(Workspace.find(workspace.root))) == {policy.id}
    [(address, card, *_)] = asked
    assert (address, card.id) == (url, policy.student)


def _deciders(cascading: Cascade) -> set[str | None]:
    async def main() -> set[str | None]:
        return {(await _one(cascading)).policy for _ in range(60)}

    return asyncio.run(main())

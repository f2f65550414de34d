"""A promoted student that needs no model, and calls that it answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limbeck.capture.sandbox.tasks import Item, load
from limbeck.cli import monitor as verb
from limbeck.cli.app import main
from limbeck.cli.next_student import Made
from limbeck.evaluate.promotion import promote, read_promotion
from limbeck.models.local import read_card
from limbeck.monitor.event import BrokenPromise
from limbeck.store.store import Store
from limbeck.types import (
    AnswerForm,
    Ask,
    Outcome,
    Policy,
    Provenance,
    Routing,
    StudentCard,
    Task,
    Trace,
)
from limbeck.workspace import Workspace

TASK = Task(
    name="refunds",
    instruction="Decide.",
    answer=AnswerForm(kind="choice", choices=("grant", "deny")),
)
Serve = Callable[[int, int], Workspace]


def _policy_of(card: StudentCard) -> Policy:
    return Policy(
        task=card.task.name,
        student=card.id,
        skeleton=card.task.skeleton,
        max_risk=0.05,
        confidence=0.95,
        signals=("lowest",),
        center=(0.0,),
        scale=(1.0,),
        weights=(1.0,),
        bias=2.0,
        threshold=0.5,
        truth_source="gold",
        n_fit=100,
        n_bound=200,
        n_accepted=200,
        n_errors=2,
        p_value=0.01,
        calibration_hash="sha256:c",
    )


def _audited(workspace: Workspace, policy: Policy, audits: int, errors: int) -> None:
    """So many audited answers of the student, one a minute until now, the last ones wrong."""
    traces, outcomes = [], []
    for number in range(audits):
        at = datetime.now(UTC) - timedelta(minutes=audits - number)
        routing = Routing(policy=policy.id, local=True, answer="grant", confidence=0.98, audit=True)
        trace = Trace(
            task="refunds",
            input=f"Order {number} came late.",
            raw="Answer: grant",
            provenance=Provenance(source="student", generator="limbeck/refunds"),
            cost_usd=0.0,
            created_at=at,
            routing=routing,
        )
        truth = "deny" if number >= audits - errors else "grant"
        traces.append(trace)
        outcomes.append(Outcome(trace_id=trace.id, value=truth, source="gold", at=at))
    with Store(workspace.store_url) as store:
        store.record(traces, outcomes)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = Workspace.create(tmp_path / "work")
    made.write_task(TASK)
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def policy(workspace: Workspace) -> Policy:
    card = StudentCard(
        task=TASK,
        recipe="label",
        ask=Ask(control="answer", order="answer", causal=False),
        base="nano",
        parameters=1,
        dataset="sha256:data",
        train_examples=1000,
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
    made = _policy_of(card)
    promote(workspace, folder, made)
    return made


@pytest.fixture
def serve(workspace: Workspace, policy: Policy) -> Serve:
    """`serve(audits, errors)`: the store holds so many audited local answers, the last ones wrong."""

    def put(audits: int, errors: int) -> Workspace:
        _audited(workspace, policy, audits, errors)
        return workspace

    return put


def test_a_kept_promise_is_said_with_its_interval(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(300, 2)
    assert main(["monitor", "--task", "refunds"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("kept: the error rate is at most 3.")
    assert "audits      300 with an outcome, 2 wrong" in said
    assert "5.0% of kept promises ever reach it" in said
    assert "today       0.7% wrong of 300 local answers in 7 days" in said
    assert "no call of the teacher has a price" in said


def test_a_broken_promise_is_an_exit_code_and_nothing_is_changed_without_act(
    serve: Serve, policy: Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = serve(60, 20)
    assert main(["monitor", "--task", "refunds"]) == verb.BROKEN == 3
    said = capsys.readouterr().out
    assert said.startswith("broken: after ")
    assert "limbeck monitor --task refunds --act" in said
    assert "retrain     the promise is broken" in said
    assert "next        limbeck curate --task refunds" in said
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.closed is None


def test_act_closes_the_policy_and_makes_the_next_student(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = serve(60, 20)
    monkeypatch.setattr(verb, "next_student", lambda *args: Made("refunds-label-s1"))
    assert main(["monitor", "--task", "refunds", "--act", "--json"]) == 3
    shown = json.loads(capsys.readouterr().out)
    assert shown["broken"]
    assert shown["closed"]["errors"] == 20
    assert shown["next_student"] == "refunds-label-s1"
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.closed is not None
    assert "20 of 60 audited answers were wrong" in found.closed.reason
    assert main(["monitor", "--task", "refunds"]) == 3
    assert capsys.readouterr().out.startswith("closed: 20 of 60 audited answers were wrong")


def test_the_next_student_is_made_as_the_last_one_was(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = serve(60, 20)
    steps: list[list[str]] = []
    last = workspace.students / "refunds-label-s0"
    card = read_card(last)
    # One setting as it usually is, one that is not, one that nobody sets, one of an earlier version.
    trained = {"batch": 32, "steps": 700, "learning_rate": None, "gone": 1}
    options = {"settings": trained, "recipe": "think-first"}
    options["recipe_settings"] = {"rationale_weight": 0.5, "answer_weight": 1.0}
    (last / "limbeck.json").write_text(card.model_copy(update=options).model_dump_json())

    def run(step: list[str]) -> int:
        steps.append(step)
        if step[0] == "distill":
            for recipe in ("label", "think-first"):
                folder = workspace.students / f"refunds-{recipe}-s1"
                folder.mkdir()
                made = card.model_copy(update={"recipe": recipe})
                (folder / "limbeck.json").write_text(made.model_dump_json())
        return 0

    real = main
    monkeypatch.setattr("limbeck.cli.app.main", run)
    monkeypatch.setattr("limbeck.cli.next_student._to_calibrate_on", lambda *args: 91)
    assert real(["monitor", "--task", "refunds", "--act"]) == 3
    # What was recorded before the error rate rose only trains.
    *curate, since = steps.pop(0)
    assert curate == ["curate", "--task", "refunds", "--judge-since"]
    assert datetime.fromisoformat(since) <= datetime.now(UTC)
    recipes = ["--recipe", "label", "--recipe", "think-first"]
    promise = ["--max-risk", "0.05", "--confidence", "0.95", "--audit-rate", "0.05"]
    promise += ["--signals", "lowest"]
    settings = ["--set", "steps=700", "--recipe-set", "think-first.rationale_weight=0.5"]
    assert steps == [
        ["distill", "refunds", *recipes, "--student", "nano", *settings],
        ["evaluate", "refunds-think-first-s1"],
        ["calibrate", "refunds-think-first-s1", *promise],
    ]
    assert "limbeck promote refunds-think-first-s1 --canary 0.1" in capsys.readouterr().out


def test_a_step_that_fails_is_named_and_the_policy_is_closed_all_the_same(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = serve(60, 20)
    # The store holds no reply of a teacher: there is nothing to curate.
    assert main(["monitor", "--task", "refunds", "--act", "--json"]) == 3
    shown = json.loads(capsys.readouterr().out)
    assert shown["next_student"].startswith("none: limbeck curate failed, as it says above")
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.closed is not None


def test_no_student_is_begun_with_too_few_calls_for_its_promise(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(60, 20)
    steps: list[str] = []

    def run(step: list[str]) -> int:
        steps.append(step[0])
        return 0

    real = main
    monkeypatch.setattr("limbeck.cli.app.main", run)
    monkeypatch.setattr("limbeck.cli.next_student._to_calibrate_on", lambda *args: 90)
    assert real(["monitor", "--task", "refunds", "--act", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)["next_student"]
    assert re.match(r"none yet: 90 calls since .* a promise needs 91 at the least", said)
    assert steps == ["curate"]


@pytest.mark.slow
def test_act_trains_and_calibrates_on_the_calls_since_the_error_rate_rose(
    trained: Workspace,
    answer: Callable[[Workspace, Task, Sequence[Item]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = trained.task("refunds")
    [folder] = trained.students.glob("refunds-label-*")
    policy = _policy_of(read_card(folder))
    promote(trained, folder, policy)
    _audited(trained, policy, 60, 20)
    answer(trained, task, load("refunds").generate(400, seed=2))
    capsys.readouterr()
    assert main(["monitor", "--task", "refunds", "--act", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)["next_student"]
    name = said.partition(";")[0]
    assert said == f"{name}; to let it answer some calls: limbeck promote {name} --canary 0.1"
    made = trained.students / name
    assert name.startswith("refunds-label-")
    assert made != folder
    assert read_card(made).settings == read_card(folder).settings
    assert (made / "policy.json").is_file()
    assert list(trained.reports.glob("*/evaluation.json"))


@pytest.mark.parametrize(("audits", "errors", "confirmed"), [(120, 3, True), (60, 0, False)])
def test_a_canary_decides_all_calls_once_its_audits_allow_it(
    serve: Serve, policy: Policy, audits: int, errors: int, confirmed: bool
) -> None:
    workspace = serve(audits, errors)
    promote(workspace, workspace.students / "refunds-label-s0", policy, share=0.2)
    assert main(["monitor", "--task", "refunds"]) == 0
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.share == 0.2
    assert main(["monitor", "--task", "refunds", "--act"]) == 0
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.share == (1.0 if confirmed else 0.2)


def test_a_canary_that_breaks_its_promise_is_taken_back(
    serve: Serve, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = serve(60, 20)
    monkeypatch.setattr(verb, "next_student", lambda *args: Made("none"))
    folder = workspace.students / "refunds-label-s0"
    before = policy.model_copy(update={"threshold": 0.9})
    promote(workspace, folder, before)
    promote(workspace, folder, policy, share=0.2)
    assert main(["monitor", "--task", "refunds", "--act"]) == 3
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert (found.policy, found.share) == (before, 1.0)
    assert found.withdrawn is not None


def test_the_webhook_hears_of_it_and_one_that_is_deaf_does_not_keep_the_policy_open(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = serve(60, 20)
    monkeypatch.setattr(verb, "next_student", lambda *args: Made("none"))
    told: list[BrokenPromise] = []
    monkeypatch.setattr(verb, "tell", lambda url, event, timeout_s: told.append(event))
    hook = ["--set", "webhook=http://127.0.0.1:1/hook"]
    assert main(["monitor", "--task", "refunds", *hook]) == 3
    assert [event.closed for event in told] == [False]
    monkeypatch.undo()
    monkeypatch.chdir(workspace.root)
    monkeypatch.setattr(verb, "next_student", lambda *args: Made("none"))
    capsys.readouterr()
    assert main(["monitor", "--task", "refunds", "--act", *hook]) == 3
    assert "could not be reached" in capsys.readouterr().out
    found = read_promotion(workspace, "refunds")
    assert found is not None
    assert found.closed is not None


def test_a_policy_without_audits_says_that_nothing_is_known(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(0, 0)
    assert main(["monitor", "--task", "refunds"]) == 0
    assert capsys.readouterr().out.startswith("unknown: no audit has an outcome yet")


def test_a_task_without_a_promise_is_one_sentence(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitor", "--task", "refunds"]) == 1
    assert "no student is promoted for the task 'refunds'" in capsys.readouterr().err
    assert main(["monitor", "--task", "refunds", "--set", "window=3"]) == 2
    assert "window" in capsys.readouterr().err

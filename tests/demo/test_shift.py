"""What follows a planted shift, with monitoring that says what each test wants it to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.sandbox.tasks import load
from limbeck.demo import shift as shift_module
from limbeck.demo.plan import ShiftPlan, make_plan
from limbeck.demo.run import Run
from limbeck.demo.shift import _as_canary, _until_alarm
from limbeck.demo.stages import Stages
from limbeck.demo.traffic import is_right, seen_of
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.promotion import read_promotion
from limbeck.monitor.audits import Audits
from limbeck.monitor.monitor import Monitoring
from limbeck.monitor.settings import MonitorSettings
from limbeck.report.summary import Look, Phase, Stretch
from limbeck.store.store import Store
from limbeck.types import Policy, Promotion, Provenance, Routing, Trace
from limbeck.workspace import Workspace

PLAN = ShiftPlan(most=100, recorded=300, after=50, stretch=25, canary_audits=10)


def audits(n: int, errors: int, *, broken: bool = False) -> Audits:
    return Audits(
        n=n,
        errors=errors,
        pending=0,
        rate=errors / n if n else None,
        interval=Interval(low=0.0, high=1.0),
        max_risk=0.05,
        capital=30.0 if broken else 1.0,
        highest=30.0 if broken else 1.0,
        alarm_at=20.0,
        false_alarms=0.05,
        broken_after=n if broken else None,
        sources={},
    )


class Calls:
    """Stands in for the gateway: each stretch is followed by the next of the looks, while a policy is in
    force."""

    def __init__(self, run: Run, looks: list[Audits], stretches: Sequence[Stretch]) -> None:
        self._run = run
        self._looks = looks
        self.stretches = list(stretches)

    def asked(self, phase: Phase) -> int:
        return sum(one.calls for one in self.stretches if one.phase == phase)

    def ask(self, phase: Phase, calls: int) -> Monitoring | None:
        found = read_promotion(self._run.workspace, self._run.name)
        local = 0 if found is None or found.closed else calls // 2
        self.stretches.append(
            Stretch(phase=phase, calls=calls, right=0, local=local, local_errors=0, look=None)
        )
        if found is None or found.closed is not None:
            return None
        if not self._looks:
            raise KeyboardInterrupt
        seen = self._looks.pop(0)
        said: dict[str, Any] = {
            "policy": found.policy.id,
            "at": datetime.now(UTC),
            "audits": seen,
            "broken": seen.broken,
            "settings": MonitorSettings(canary_audits=PLAN.canary_audits),
        }
        return Monitoring.model_construct(**said)


def policy(threshold: float = 0.9) -> Policy:
    return Policy(
        task="refunds",
        student="sha256:s",
        skeleton="sha256:k",
        max_risk=0.05,
        confidence=0.95,
        signals=("lowest",),
        center=(0.0,),
        scale=(1.0,),
        weights=(1.0,),
        bias=0.0,
        threshold=threshold,
        truth_source="gold",
        n_fit=100,
        n_bound=200,
        n_accepted=150,
        n_errors=2,
        p_value=0.01,
        calibration_hash="sha256:c",
    )


@pytest.fixture
def run(tmp_path: Path, notes: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose task has a promoted student, in a workspace without any model."""
    workspace = Workspace.create(tmp_path / "workspace")
    sandbox = load("refunds")
    workspace.write_task(sandbox.task())

    def promote(workspace: Workspace, folder: Path, policy: Policy, *, share: float = 1.0) -> None:
        path = workspace.home / "policies" / "refunds.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Promotion(student_folder=folder.name, policy=policy, share=share)
        path.write_text(made.model_dump_json(), encoding="utf-8")

    monkeypatch.setattr(shift_module, "promote", promote)
    promote(workspace, Path("old"), policy())
    plan = make_plan("default", tasks=("refunds",))
    stages = Stages(workspace.home / "demo", notes)
    return Run(plan, plan.tasks[0], sandbox, workspace, stages, notes, tmp_path / "truth.jsonl")


def with_looks(monkeypatch: pytest.MonkeyPatch, run: Run, looks: list[Audits]) -> None:
    @contextmanager
    def changed(
        _: Run, plan: ShiftPlan, stretches: Sequence[Stretch], first: int = 0
    ) -> Iterator[Calls]:
        yield Calls(run, looks, stretches)

    monkeypatch.setattr(shift_module, "_changed", changed)


def before(n: int, errors: int) -> list[Stretch]:
    look = Look(
        audits=n, errors=errors, interval=Interval(low=0, high=1), capital=1.0, alarm_at=20.0
    )
    return [
        Stretch(phase="before", calls=50, right=40, local=30, local_errors=1, look=look),
    ]


def test_an_alarm_closes_the_policy_and_the_teacher_answers_the_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_looks(monkeypatch, run, [audits(12, 1), audits(17, 5, broken=True)])
    found, said = _until_alarm(run, PLAN, before(10, 1))
    assert found.alarm is not None
    assert (found.alarm.audits, found.alarm.errors) == (7, 4)
    phases = [one.phase for one in found.stretches]
    assert phases == ["shifted", "shifted", "fallback", "fallback"]
    assert not sum(one.local for one in found.stretches if one.phase == "fallback")
    promotion = read_promotion(run.workspace, "refunds")
    assert promotion is not None
    assert promotion.closed is not None
    assert "5 of 17 audited answers were wrong" in promotion.closed.reason
    assert "alarm after 50 changed calls and 7 audits" in said


def test_without_an_alarm_it_stops_and_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_looks(monkeypatch, run, [audits(n, 0) for n in range(10, 14)])
    found, said = _until_alarm(run, PLAN, before(9, 0))
    assert found.alarm is None
    assert sum(one.calls for one in found.stretches) == PLAN.most
    assert said == "no alarm within 100 changed calls"


def test_an_interrupted_shift_continues_where_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_looks(monkeypatch, run, [audits(12, 1)])
    with pytest.raises(KeyboardInterrupt):
        _until_alarm(run, PLAN, before(10, 1))
    with_looks(monkeypatch, run, [audits(17, 5, broken=True)])
    found, _ = _until_alarm(run, PLAN, before(10, 1))
    assert [one.phase for one in found.stretches][:3] == ["shifted", "shifted", "fallback"]
    assert found.alarm is not None


@pytest.mark.parametrize(
    ("looks", "end", "share", "closed"),
    [
        ([audits(5, 0), audits(12, 0), audits(20, 1), audits(30, 1)], "confirmed", 1.0, False),
        ([audits(5, 3), audits(11, 6, broken=True)], "taken back", 0.5, True),
        ([audits(n, 1) for n in (3, 5, 7, 9)], "undecided", 0.5, False),
        ([audits(12, 0), audits(20, 9, broken=True)], "taken back", 1.0, True),
    ],
)
def test_a_canary_is_decided_by_its_audits_alone(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    looks: list[Audits],
    end: str,
    share: float,
    closed: bool,
) -> None:
    with_looks(monkeypatch, run, looks)
    found, _ = _as_canary(run, PLAN, Path("new"), policy(0.8))
    assert found.canary == end
    promotion = read_promotion(run.workspace, "refunds")
    assert promotion is not None
    assert promotion.student_folder == "new"
    assert promotion.share == share
    assert (promotion.closed is not None) is closed


def test_a_call_that_was_drawn_and_went_to_the_teacher_is_a_reply_and_no_check(
    run: Run, tmp_path: Path
) -> None:
    def trace(key: str, source: Any, *, local: bool) -> Trace:
        return Trace(
            task="refunds",
            input=key,
            raw=f"{source}\nAnswer: deny",
            provenance=Provenance(source=source, correlation=key),
            routing=Routing(policy="sha256:p", local=local, audit=True),
        )

    task = run.workspace.task("refunds")
    with Store(tmp_path / "store.db") as store:
        store.add([trace("a", "student", local=True), trace("b", "gateway", local=False)])
        store.add([trace("a", "gateway", local=True)])
        seen = seen_of(store, task, ["a", "b"])
    assert {key: one.provenance.source for key, one in seen.replies.items()} == {
        "a": "student",
        "b": "gateway",
    }
    assert list(seen.checks) == ["a"]
    assert is_right(task, seen.replies["b"], "deny")

"""The whole loop on a small plan: real servers, real training, a real report."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from limbeck.demo.loop import run
from limbeck.demo.plan import Plan, ShiftPlan, make_plan
from limbeck.report.summary import Summary
from limbeck.store.store import Store
from limbeck.workspace import Workspace


def small_plan() -> Plan:
    plan = make_plan("quick", recipes=("label", "think-first"), calls=420)
    tasks = tuple(
        task.model_copy(
            update={
                "settings": task.settings.model_copy(update={"steps": 25, "evaluate_items": 8}),
                "fresh": 24,
                "shift": ShiftPlan(most=20, stretch=10),
            }
        )
        for task in plan.tasks
    )
    # Hardly a student fails at this risk, so that the cascade runs too with one that knows little.
    return plan.model_copy(update={"tasks": tasks, "max_risk": 0.99, "latency_s": 0.0})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, run_notes: Any) -> tuple[Summary, Path]:
    return run(small_plan(), tmp_path_factory.mktemp("demo"), run_notes, "limbeck demo")


def test_it_leaves_a_report_and_every_number_beside_it(ran: tuple[Summary, Path]) -> None:
    summary, page = ran
    assert page.name == "report.html"
    kept = json.loads((page.parent / "summary.json").read_text(encoding="utf-8"))
    # A later test runs the loop again, which changes how long it took and nothing else.
    assert Summary.model_validate(kept).tasks == summary.tasks
    (task,) = summary.tasks
    assert {arm.recipe for arm in task.evaluation.arms} == {"label", "think-first"}
    assert task.evaluation.teacher is not None
    assert summary.simulated
    assert task.capture.simulated


def test_every_stage_is_shown_and_timed(ran: tuple[Summary, Path], run_notes: Any) -> None:
    stages = [f"{time.stage} {time.task}".strip() for time in ran[0].stages]
    assert stages == [
        "capture refunds",
        "curate refunds",
        "distill",
        "evaluate refunds",
        "calibrate refunds",
        "cascade refunds",
        "shift refunds",
    ]
    # Another test may have run the loop again before, with the same notes.
    assert run_notes.ended[: len(stages)] == stages


def test_every_call_is_in_the_store_with_its_outcome_and_marked_simulated(
    ran: tuple[Summary, Path],
) -> None:
    (task,) = ran[0].tasks
    (folder,) = ran[1].parent.glob("workspace-*")
    with Store(Workspace.find(folder).store_url) as store:
        traces = [t for t in store.traces("refunds") if t.provenance.source == "gateway"]
        assert store.verify() == []
        recorded = {
            t.provenance.correlation
            for t in traces
            if t.status != "error" and str(t.provenance.correlation).startswith("refunds-")
        }
        assert len(recorded) == task.capture.calls == task.capture.outcomes == 420
        assert all(t.provenance.simulated for t in traces)


def test_curation_is_measured_against_what_the_teacher_spoiled(ran: tuple[Summary, Path]) -> None:
    flagging = ran[0].tasks[0].flagging
    assert flagging is not None
    assert flagging.spoiled > 30
    assert flagging.caught / flagging.spoiled > 0.85
    assert flagging.lost / flagging.clean < 0.02


def test_fresh_calls_go_through_the_cascade(ran: tuple[Summary, Path]) -> None:
    task = ran[0].tasks[0]
    assert task.calibration is not None
    assert task.calibration.policy.threshold is not None
    assert task.cascade is not None
    assert task.cascade.calls == 24
    assert 0 < task.cascade.local <= 24
    assert task.cascade.cost_usd <= task.cascade.teacher_only_usd


def test_a_shift_that_breaks_no_promise_raises_no_alarm_and_says_so(
    ran: tuple[Summary, Path],
) -> None:
    shift = ran[0].tasks[0].shift
    assert shift is not None
    assert shift.alarm is None
    assert [one.phase for one in shift.stretches] == ["before", "shifted", "shifted"]
    assert sum(one.calls for one in shift.stretches) == 24 + 20
    assert all(one.look is not None for one in shift.stretches)
    assert "no alarm was raised within 20 calls" in ran[1].read_text(encoding="utf-8")


def test_why_the_teacher_was_asked_is_read_from_the_traces(ran: tuple[Summary, Path]) -> None:
    cascade = ran[0].tasks[0].cascade
    assert cascade is not None
    assert sum(cascade.escalation_reasons.values()) == cascade.calls - cascade.local


def test_the_same_command_continues_and_does_nothing_twice(
    ran: tuple[Summary, Path], run_notes: Any
) -> None:
    summary, page = ran
    (folder,) = page.parent.glob("workspace-*")
    before = sorted(folder.rglob("limbeck.json"))
    times = [path.stat().st_mtime_ns for path in before]
    again, _ = run(small_plan(), page.parent, run_notes, "limbeck demo")
    assert again.stages == summary.stages
    assert again.tasks == summary.tasks
    assert [path.stat().st_mtime_ns for path in before] == times
    assert multiprocessing.active_children() == []

"""The next student: trained from where the old one was, and calibrated on the calls since the shift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.demo.plan import ShiftPlan
from limbeck.demo.run import Run
from limbeck.demo.students import make_students
from limbeck.distill.arms import ArmSpec
from limbeck.evaluate.aim import Aim
from limbeck.evaluate.answers import answers_of
from limbeck.evaluate.calibrate import fit_policy
from limbeck.evaluate.intervals import wilson
from limbeck.models.local import read_card
from limbeck.report.summary import Calibration, Retrained
from limbeck.store.store import Store
from limbeck.types import Noun

_GENTLER: dict[str, Any] = {
    "optimizer": "muon",
    "learning_rate": 0.004,
    "muon_rate": 0.012,
    "threads": 1,
}
"""Gentler than a student from scratch, for it knows most of the task already. A student as small
as this gains little from a second thread, and loses much where the cores have other work."""


class _Path(Noun):
    path: str


def retrain(run: Run, plan: ShiftPlan, old: Calibration, learned: Dataset, mark: str) -> Retrained:
    """A student that goes on from the `old` one, and its policy. It learns from what that one `learned`
    and from the calls since the shift, whose keys begin with `mark`."""
    stages, name = run.stages, run.name
    kept = stages.run("curate again", name, _Path, lambda: _curated(run, learned, mark))
    dataset = read_dataset(Path(kept.path))
    made = stages.run("distill again", name, _Path, lambda: _distilled(run, plan, old, dataset))
    student = Path(made.path)
    return stages.run(
        "calibrate again", name, Retrained, lambda: _calibrated(run, plan, dataset, student)
    )


def _curated(run: Run, learned: Dataset, mark: str) -> tuple[_Path, str]:
    """Earlier calls only train: a promise for the calls to come needs calls like them."""
    # The split of a call follows from what was asked: those that trained once will train again.
    before = set(learned.rows("train")["trace_id"])
    with Store(run.workspace.store_url) as store:
        traces = [
            trace
            for trace in store.traces(run.name)
            if (trace.provenance.correlation or "").startswith(mark) or trace.id in before
        ]
        truths = store.truths(run.name)
    info = curate(traces, truths, run.workspace.task(run.name), run.workspace.datasets)
    trained, others = info.splits["train"], sum(info.splits.values()) - info.splits["train"]
    note = f"{trained:,} calls to train on, {len(before):,} of them from before the shift; {others:,} others"
    return _Path(path=str(info.path)), note


def _distilled(run: Run, plan: ShiftPlan, old: Calibration, dataset: Dataset) -> tuple[_Path, str]:
    spec = ArmSpec(
        dataset=dataset.path,
        students=run.workspace.students,
        recipe=old.recipe,
        base=str(run.workspace.students / old.student),
        settings=run.task.settings.model_copy(update=_GENTLER | {"steps": plan.steps}),
    )
    [folder] = make_students([(run.name, spec)], run.watcher)
    return _Path(
        path=str(folder)
    ), f"{old.recipe} from the old student's weights, {plan.steps} steps"


def _calibrated(
    run: Run, plan: ShiftPlan, dataset: Dataset, student: Path
) -> tuple[Retrained, str]:
    aim = Aim(value=run.plan.max_risk, confidence=run.plan.confidence, audit_rate=plan.audit_rate)
    policy = fit_policy(answers_of(student, dataset, "calibration"), aim=aim, seed=run.plan.seed)
    test = answers_of(student, dataset, "test")
    right, n = int(test.right.sum()), len(test.right)
    card = read_card(student)
    found = Retrained(
        student=student.name,
        recipe=card.recipe,
        how=f"from the old student's weights, in {plan.steps} steps",
        train_examples=card.train_examples,
        right=right,
        n=n,
        interval=wilson(right, n),
        policy=policy,
    )
    promised = (
        "no threshold keeps the promise"
        if policy.threshold is None
        else f"{policy.n_accepted / policy.n_bound:.0%} of calls answered"
    )
    return found, f"{right / n:.1%} right on changed calls; {promised}"

"""The next student: curated, trained and calibrated on the calls since the shift."""

from __future__ import annotations

from pathlib import Path

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


class _Path(Noun):
    path: str


def retrain(run: Run, plan: ShiftPlan, old: Calibration, mark: str) -> Retrained:
    """A student like the `old` one, of the calls whose keys begin with `mark`, and its policy."""
    stages, name = run.stages, run.name
    kept = stages.run("curate again", name, _Path, lambda: _curated(run, mark))
    dataset = read_dataset(Path(kept.path))
    made = stages.run("distill again", name, _Path, lambda: _distilled(run, plan, old, dataset))
    student = Path(made.path)
    return stages.run(
        "calibrate again", name, Retrained, lambda: _calibrated(run, plan, dataset, student)
    )


def _curated(run: Run, mark: str) -> tuple[_Path, str]:
    # Calls of before would be in the calibration split too, and a promise needs calls like those to come.
    with Store(run.workspace.store_url) as store:
        traces = [
            trace
            for trace in store.traces(run.name)
            if (trace.provenance.correlation or "").startswith(mark)
        ]
        truths = store.truths(run.name)
    info = curate(traces, truths, run.workspace.task(run.name), run.workspace.datasets)
    kept, read = sum(info.splits.values()), info.summary.traces
    note = f"{kept:,} of {read:,} traces since the shift kept, {info.splits['train']:,} to train on"
    return _Path(path=str(info.path)), note


def _distilled(run: Run, plan: ShiftPlan, old: Calibration, dataset: Dataset) -> tuple[_Path, str]:
    spec = ArmSpec(
        dataset=dataset.path,
        students=run.workspace.students,
        recipe=old.recipe,
        settings=run.task.settings.model_copy(update={"steps": plan.steps}),
    )
    [folder] = make_students([(run.name, spec)], run.watcher)
    return _Path(path=str(folder)), f"{old.recipe} from scratch, {plan.steps} steps"


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
        how=f"from scratch, in {plan.steps} steps",
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

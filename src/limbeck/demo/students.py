"""Trains the students of a task side by side and lets each answer the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from limbeck.curate.dataset import read_dataset
from limbeck.demo.plan import Plan, TaskPlan
from limbeck.demo.stages import Watcher
from limbeck.distill.arms import ArmSpec, train_arm
from limbeck.distill.train import Progress
from limbeck.distill.workers import side_by_side
from limbeck.evaluate.answers import answers_of


def specs_of(plan: Plan, task: TaskPlan, dataset: Path, students: Path) -> list[ArmSpec]:
    """One spec a recipe and seed."""
    return [
        ArmSpec(
            dataset=dataset,
            students=students,
            recipe=recipe,
            settings=task.settings.model_copy(update={"seed": plan.seed + number}),
        )
        for number in range(plan.seeds)
        for recipe in task.recipes
    ]


def make_student(
    spec: ArmSpec,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    threads: int,
) -> Path:
    """One arm in a worker process: train, then answer the test split (kept beside the student)."""
    folder = train_arm(spec, report, should_stop, threads)
    answers_of(folder, read_dataset(spec.dataset), "test", threads=threads)
    return folder


def make_students(specs: Sequence[tuple[str, ArmSpec]], watcher: Watcher) -> list[Path]:
    """All arms of all tasks (task name, spec), as many at a time as there are cores."""

    def name(index: int) -> str:
        task, spec = specs[index]
        return f"{task} {spec.recipe}" + (f" {spec.settings.seed}" if spec.settings.seed else "")

    def on_event(index: int, progress: Progress) -> None:
        losses = ", ".join(
            f"{role} {loss:.3f}" for role, loss in progress.loss.items() if role != "control"
        )
        accuracy = f", verified {progress.accuracy:.1%}" if progress.accuracy is not None else ""
        speed = progress.tokens / max(progress.seconds, 1e-9)
        note = f"loss: {losses}{accuracy}, {speed:,.0f} tokens/s"
        watcher.advance(name(index), progress.step, progress.steps, note)

    for index, (_, spec) in enumerate(specs):
        watcher.advance(name(index), 0, spec.settings.steps, "waiting for a free core")
    return side_by_side(make_student, [spec for _, spec in specs], on_event=on_event)

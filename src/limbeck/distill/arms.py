"""Several students of one dataset, trained side by side: recipes times seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from limbeck.curate.dataset import read_dataset
from limbeck.distill.distill import distill
from limbeck.distill.perturb import Perturbation
from limbeck.distill.settings import DistillSettings
from limbeck.distill.train import Progress
from limbeck.distill.workers import side_by_side
from limbeck.types import Noun


class ArmSpec(Noun):
    """One student to train."""

    dataset: Path
    students: Path
    recipe: str
    base: str = "nano"
    settings: DistillSettings = DistillSettings()
    recipe_given: dict[str, Any] = Field(default_factory=dict)
    perturbation: Perturbation | None = None
    trust_remote_code: bool = False
    track: str | None = None


def train_arm(
    spec: ArmSpec,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    threads: int,
) -> Path:
    """One run in this process; returns the student's folder."""
    # The number of threads is the machine's business and no part of the run's identity.
    import torch
    from transformers.utils import logging

    # Bars of several processes would overwrite the one board that shows them all.
    logging.disable_progress_bar()
    torch.set_num_threads(spec.settings.threads or threads)
    return distill(
        read_dataset(spec.dataset),
        spec.recipe,
        spec.students,
        base=spec.base,
        settings=spec.settings,
        recipe_given=spec.recipe_given,
        perturbation=spec.perturbation,
        trust_remote_code=spec.trust_remote_code,
        watch=_at_most_often(report),
        should_stop=should_stop,
        track=spec.track,
    )


def train_arms(
    specs: Sequence[ArmSpec],
    *,
    jobs: int = 0,
    watch: Callable[[int, Progress], None] = lambda index, progress: None,
    finished: Callable[[int, Path], None] = lambda index, folder: None,
) -> list[Path]:
    """Trains all of `specs`, `jobs` at a time, and returns their folders in the same order."""
    return side_by_side(train_arm, list(specs), jobs=jobs, on_event=watch, on_result=finished)


def _at_most_often(report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Lets a report through when a hundredth of the run has passed since the last one."""
    last = -1

    def watch(progress: Progress) -> None:
        nonlocal last
        part = progress.step * 100 // progress.steps
        if part != last:
            last = part
            report(progress)

    return watch

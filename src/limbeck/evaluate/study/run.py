"""Runs a study: trains and asks the students that are missing, and sums up all of them.

Under the study folder of a workspace (`.limbeck/studies`):

datasets/   training splits that arms learn from, named by content
students/   the students, named by what they learned from and how
scores/     what each was right on, by student and split

Everything is named by what it is made from, so that a study that is run again reads, one more arm
trains one arm, and what was interrupted continues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.distill.arms import ArmSpec, train_arm
from limbeck.distill.distill import student_name
from limbeck.distill.settings import DistillSettings
from limbeck.distill.train import Progress
from limbeck.distill.workers import side_by_side
from limbeck.errors import DatasetError, UsageError
from limbeck.evaluate.answers import answers_of
from limbeck.evaluate.study.arms import StudyArm
from limbeck.evaluate.study.data import cut
from limbeck.evaluate.study.findings import limits, unlearned
from limbeck.evaluate.study.result import Score, StudyResult, summed_up
from limbeck.evaluate.study.table import load_study, study_settings
from limbeck.types import Noun, content_hash

SEEDS = 3
"""Fewer seeds say nothing about the luck of training."""
TOO_FEW = 20
"""With fewer questions than this no difference could be seen."""


class Job(Noun):
    """One student: what to train, which split to ask it, and where its score is kept."""

    arm: str
    spec: ArmSpec
    split: str
    score: Path

    @property
    def done(self) -> bool:
        return self.score.exists()

    @property
    def label(self) -> str:
        return f"{self.arm} s{self.spec.settings.seed}"


@dataclass(frozen=True)
class Plan:
    """A study before it is run; `jobs` are in the order of the arms, seed by seed."""

    name: str
    dataset: Dataset
    split: str
    base: str
    settings: DistillSettings
    study_settings: Noun
    seeds: tuple[int, ...]
    arms: tuple[StudyArm, ...]
    jobs: tuple[Job, ...]
    home: Path

    @property
    def missing(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if not job.done)


def plan_study(
    name: str,
    dataset: Dataset,
    home: Path,
    *,
    given: dict[str, Any] | None = None,
    base: str = "nano",
    settings: DistillSettings | None = None,
    seeds: Sequence[int] = tuple(range(SEEDS)),
    split: str = "test",
    trust_remote_code: bool = False,
) -> Plan:
    """What the study `name` would train on `dataset`; `home` is the folder of studies.

    Writes the training splits of its arms and nothing else. Raises UsageError, ConfigError or
    DatasetError where the study cannot be made of this dataset.
    """
    if len(set(seeds)) < SEEDS:
        raise UsageError(
            f"a study wants {SEEDS} seeds or more and got {len(set(seeds))}: with fewer the luck of "
            "training cannot be told from a difference"
        )
    asked = len(dataset.split(split))
    if asked < TOO_FEW:
        raise DatasetError(
            f"the {split} split of {dataset.path.name!r} has {asked} examples; wanted {TOO_FEW} or "
            "more to ask the students of a study about: curate with a larger share of it"
        )
    of_study = study_settings(name, given or {})
    common = settings or DistillSettings()
    arms = load_study(name).arms(dataset, of_study, base)
    jobs = [
        _job(arm, dataset, home, base, common, seed, split, trust_remote_code)
        for arm in arms
        for seed in sorted(set(seeds))
    ]
    return Plan(
        name=name,
        dataset=dataset,
        split=split,
        base=base,
        settings=common,
        study_settings=of_study,
        seeds=tuple(sorted(set(seeds))),
        arms=arms,
        jobs=tuple(jobs),
        home=home,
    )


def run_study(
    plan: Plan,
    *,
    jobs: int = 0,
    watch: Callable[[int, Progress], None] = lambda index, progress: None,
    finished: Callable[[int, Path], None] = lambda index, folder: None,
) -> StudyResult:
    """Trains and asks what is missing, `jobs` at a time; indexes count through `plan.missing`."""
    side_by_side(train_and_ask, list(plan.missing), jobs=jobs, on_event=watch, on_result=finished)
    scores: dict[str, list[Score]] = {}
    for job in plan.jobs:
        score = Score.model_validate_json(job.score.read_bytes())
        scores.setdefault(job.arm, []).append(score)
    study = load_study(plan.name)
    result = summed_up(
        plan.dataset,
        plan.arms,
        scores,
        plan.split,
        study.pairs(plan.arms),
        study=plan.name,
        question=study.QUESTION,
        x_title=study.X,
        base=Path(plan.base).name,
        settings=plan.settings.model_dump(mode="json", exclude={"seed"}),
        study_settings=plan.study_settings.model_dump(mode="json"),
    )
    shown = (*unlearned(result), *study.conclude(result))
    return result.model_copy(update={"shown": shown, "limits": tuple(limits(result))})


def train_and_ask(
    job: Job,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    threads: int,
) -> Path:
    """One job in this process; its score is written whole. Returns the student's folder."""
    folder = train_arm(job.spec, report, should_stop, threads)
    dataset = read_dataset(job.spec.dataset)
    answers = answers_of(folder, dataset, job.split, threads=job.spec.settings.threads or threads)
    card = answers.card
    score = Score(
        student=folder.name,
        recipe=card.recipe,
        base=card.base,
        batch=job.spec.settings.batch,
        seed=card.seed,
        weights=card.weights,
        items=_items(dataset, job.split),
        right=tuple(bool(one) for one in answers.right),
        unanswered=sum(said is None for said in answers.said),
        tokens=float(answers.tokens.mean()),
        seconds=answers.seconds,
        train_seconds=card.seconds,
        train_inputs=dataset.rows("train")["input"].n_unique(),
        train_tokens=card.tokens_seen,
        steps=card.steps,
        epochs=round(card.steps * job.spec.settings.batch / max(card.train_examples, 1), 3),
        parameters=card.parameters,
    )
    job.score.parent.mkdir(parents=True, exist_ok=True)
    partial = job.score.with_suffix(".partial")
    partial.write_text(score.model_dump_json() + "\n", encoding="utf-8")
    partial.replace(job.score)
    return folder


def _job(
    arm: StudyArm,
    dataset: Dataset,
    home: Path,
    base: str,
    common: DistillSettings,
    seed: int,
    split: str,
    trust_remote_code: bool,
) -> Job:
    settings = DistillSettings.model_validate({**common.model_dump(), **arm.settings, "seed": seed})
    # The number of threads is the machine's business: a score is the same score on another.
    named = settings.model_copy(update={"threads": 0})
    learned_from = cut(dataset, arm.cut, seed, home / "datasets")
    spec = ArmSpec(
        dataset=learned_from.path,
        students=home / "students",
        recipe=arm.recipe,
        base=base,
        settings=settings,
        recipe_given=arm.recipe_given,
        perturbation=arm.perturbation,
        trust_remote_code=trust_remote_code,
    )
    name = student_name(learned_from, arm.recipe, base, named, arm.recipe_given, arm.perturbation)
    items = _items(dataset, split).removeprefix("sha256:")[:8]
    return Job(
        arm=arm.name,
        spec=spec,
        split=split,
        score=home / "scores" / f"{name}-{split}-{items}.json",
    )


def _items(dataset: Dataset, split: str) -> str:
    """The hash of the questions of a split and their right answers."""
    rows = dataset.rows(split).select("trace_id", "input", "truth")
    return content_hash(rows.rows())

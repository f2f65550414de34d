"""What a study found: every arm over its seeds, and the paired differences between arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck import __version__
from limbeck.curate.dataset import Dataset
from limbeck.evaluate.evaluate import Comparison, SeedScore
from limbeck.evaluate.intervals import Interval, mean_interval, paired_difference, wilson
from limbeck.evaluate.study.arms import Pairs, StudyArm
from limbeck.types import Noun


class Score(Noun):
    """One student of a study on the split; kept by the student's name, so that it is asked once.

    `items` names the questions by content. `seconds` is the time of all of them, in batches on this
    machine; `epochs` is how often an input was seen.
    """

    student: str
    recipe: str
    base: str
    batch: int
    seed: int
    weights: str
    items: str
    right: tuple[bool, ...]
    unanswered: int
    tokens: float
    """Mean number of tokens it wrote for an item."""
    seconds: float
    train_seconds: float
    train_inputs: int
    train_tokens: int
    steps: int
    epochs: float
    parameters: int


class ArmResult(Noun):
    """An arm over its seeds; `versus` is the paired difference to the arm that it is held against."""

    name: str
    recipe: str
    panel: str
    series: str
    x: float | None
    train_inputs: int
    steps: int
    epochs: float
    train_tokens: int
    """Mean number of tokens that went through the model in training."""
    seeds: tuple[SeedScore, ...]
    accuracy: float
    interval: Interval
    unanswered: float
    tokens: float
    seconds: float
    """Mean time for an item in batches on this machine."""
    train_seconds: float
    versus: Comparison | None


class Pair(Noun):
    """A paired difference beside those that every arm has."""

    arm: str
    versus: Comparison


class StudyResult(Noun):
    """A controlled comparison on one dataset; `shown` are its conclusions in plain sentences."""

    study: str
    question: str
    x_title: str | None
    task: str
    dataset: str
    split: str
    n: int
    base: str
    parameters: int
    seeds: tuple[int, ...]
    settings: dict[str, Any]
    study_settings: dict[str, Any]
    arms: tuple[ArmResult, ...]
    pairs: tuple[Pair, ...]
    teacher: SeedScore | None
    majority: float
    """Accuracy of always giving the commonest answer of the training split."""
    simulated: bool
    compute_seconds: float
    """Training and asking of all students, those of earlier studies included."""
    version: str
    shown: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def arm(self, name: str) -> ArmResult:
        return next(arm for arm in self.arms if arm.name == name)

    def pair(self, first: str, second: str) -> Comparison:
        """The paired difference of two arms that the study compares; of an arm with itself it is 0."""
        if first == second:
            return Comparison(
                against=second,
                difference=0.0,
                interval=Interval(low=0.0, high=0.0),
                p_value=None,
                verdict="no difference seen",
            )
        return next(
            pair.versus for pair in self.pairs if (pair.arm, pair.versus.against) == (first, second)
        )


def summed_up(
    dataset: Dataset,
    arms: Sequence[StudyArm],
    scores: Mapping[str, Sequence[Score]],
    split: str,
    pairs: Pairs = (),
    **of_study: Any,
) -> StudyResult:
    """The result of a study without its conclusions; `scores` are those of each arm, by its name."""
    examples = dataset.split(split)
    common = Counter(example.truth for example in dataset.split("train")).most_common(1)
    majority = sum(example.truth == common[0][0] for example in examples) / len(examples)
    by_name = {name: sorted(found, key=lambda one: one.seed) for name, found in scores.items()}
    everyone = [score for found in by_name.values() for score in found]
    return StudyResult(
        task=dataset.task.name,
        dataset=dataset.hash,
        split=split,
        n=len(examples),
        parameters=everyone[0].parameters,
        seeds=tuple(sorted({score.seed for score in everyone})),
        arms=tuple(_arm(arm, by_name) for arm in arms),
        pairs=tuple(
            Pair(
                arm=first,
                versus=_compare(_matrix(by_name[first]), _matrix(by_name[second]), second),
            )
            for first, second in pairs
        ),
        teacher=_teacher(dataset.teacher_correct(split)),
        majority=majority,
        simulated=dataset.simulated,
        compute_seconds=round(sum(one.train_seconds + one.seconds for one in everyone), 1),
        version=__version__,
        **of_study,
    )


def _arm(arm: StudyArm, scores: Mapping[str, Sequence[Score]]) -> ArmResult:
    found = scores[arm.name]
    right = _matrix(found)
    n = right.shape[1]
    return ArmResult(
        name=arm.name,
        recipe=arm.recipe,
        panel=arm.panel,
        series=arm.series,
        x=arm.x,
        train_inputs=found[0].train_inputs,
        steps=found[0].steps,
        epochs=_mean([one.epochs for one in found]),
        train_tokens=round(_mean([one.train_tokens for one in found])),
        seeds=tuple(_seed_score(one) for one in found),
        accuracy=float(right.mean()),
        interval=mean_interval(right),
        unanswered=_mean([one.unanswered / n for one in found]),
        tokens=_mean([one.tokens for one in found]),
        seconds=_mean([one.seconds / n for one in found]),
        train_seconds=_mean([one.train_seconds for one in found]),
        versus=_compare(right, _matrix(scores[arm.against]), arm.against) if arm.against else None,
    )


def _compare(first: NDArray[np.bool_], second: NDArray[np.bool_], name: str) -> Comparison:
    """Seed by seed and item by item: both are (S, N) with the same seeds and items."""
    interval = paired_difference(first, second)
    verdict = (
        "better" if interval.low > 0 else "worse" if interval.high < 0 else "no difference seen"
    )
    return Comparison(
        against=name,
        difference=float(first.mean() - second.mean()),
        interval=interval,
        p_value=None,
        verdict=verdict,
    )


def _matrix(scores: Sequence[Score]) -> NDArray[np.bool_]:
    return np.array([one.right for one in scores], dtype=np.bool_)  # (S, N)


def _seed_score(one: Score) -> SeedScore:
    right, n = sum(one.right), len(one.right)
    return SeedScore(
        student=one.student,
        seed=one.seed,
        right=right,
        n=n,
        accuracy=right / n,
        interval=wilson(right, n),
    )


def _teacher(verdicts: Sequence[bool]) -> SeedScore | None:
    if not verdicts:
        return None
    right, n = sum(verdicts), len(verdicts)
    return SeedScore(
        student="teacher",
        seed=0,
        right=right,
        n=n,
        accuracy=right / n,
        interval=wilson(right, n),
    )


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers))

"""Scores of students that were never trained: who is right on which item is planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from limbeck.curate.dataset import Dataset
from limbeck.evaluate.study.arms import StudyArm
from limbeck.evaluate.study.result import Score, StudyResult, summed_up
from limbeck.evaluate.study.table import load_study, study_settings

SEEDS = (0, 1, 2)


def score(right: Sequence[bool], seed: int = 0, **given: Any) -> Score:
    values: dict[str, Any] = {
        "student": f"student-s{seed}",
        "recipe": "label",
        "base": "nano",
        "batch": 8,
        "seed": seed,
        "weights": "sha256:1",
        "items": "sha256:2",
        "right": tuple(right),
        "unanswered": 0,
        "tokens": 3.0,
        "seconds": 0.4,
        "train_seconds": 6.0,
        "train_inputs": 100,
        "train_tokens": 5_000,
        "steps": 30,
        "epochs": 2.4,
        "parameters": 1_000,
    }
    return Score.model_validate({**values, **given})


def scores(share: float, n: int, **given: Any) -> list[Score]:
    """Right on that share of items, nearly the same ones for each seed."""
    hard = np.random.default_rng(0).permutation(n)
    return [
        score((hard < share * n + offset).tolist(), seed, **given)
        for seed, offset in zip(SEEDS, (-1, 0, 1), strict=True)
    ]


@pytest.fixture
def concluded(dataset: Dataset) -> Callable[..., StudyResult]:
    """`concluded(study, arms, shares)`: the result of a study whose arms are right on these shares."""

    def make(
        name: str, arms: tuple[StudyArm, ...], shares: Mapping[str, float], n: int = 200
    ) -> StudyResult:
        study = load_study(name)
        result = summed_up(
            dataset,
            arms,
            {arm.name: scores(shares[arm.name], n, train_inputs=int(arm.x or 100)) for arm in arms},
            "test",
            study.pairs(arms),
            study=name,
            question=study.QUESTION,
            x_title=study.X,
            base="nano",
            settings={"batch": 8},
            study_settings={},
        )
        return result.model_copy(update={"shown": tuple(study.conclude(result))})

    return make


@pytest.fixture
def arms_of(dataset: Dataset) -> Callable[..., tuple[StudyArm, ...]]:
    """`arms_of(study, setting=value)`: its arms on the small dataset."""

    def make(name: str, base: str = "nano", **given: Any) -> tuple[StudyArm, ...]:
        return load_study(name).arms(dataset, study_settings(name, given), base)

    return make

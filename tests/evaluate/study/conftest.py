"""Scores of students that were never trained: who is right on which item is planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.curate.settings import resolve_settings
from limbeck.evaluate.study.arms import StudyArm
from limbeck.evaluate.study.result import Score, StudyResult, summed_up
from limbeck.evaluate.study.table import load_study, study_settings
from limbeck.types import AnswerForm, Outcome, Provenance, Task, Trace

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


WAYS = (
    "{0} and {1} make {2}.",
    "Begin at {0}. Go {1} further. That is {2}.",
    "The sum of {0} and {1} is asked for; it is {2}.",
    "Count on from {0} by {1} and arrive at {2}.",
)


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sums, each with four chains that are told apart by their words."""
    task = Task(name="sums", answer=AnswerForm(kind="number"))
    traces, truths = [], {}
    for number in range(60):
        values = (number, 7 * number % 31, number + 7 * number % 31)
        for way in WAYS:
            trace = Trace(
                task=task.name,
                input=f"What is {values[0]} plus {values[1]}?",
                raw=f"{way.format(*values)}\nAnswer: {values[2]}",
                stop_reason="end_turn",
                provenance=Provenance(source="gateway", generator="simulated", simulated=True),
            )
            traces.append(trace)
            truths[trace.id] = Outcome(trace_id=trace.id, value=str(values[2]), source="gold")
    settings = resolve_settings(task, {"duplicates": {"per_input": 4}})
    made = curate(traces, truths, task, tmp_path_factory.mktemp("datasets"), settings)
    return read_dataset(made.path)


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

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from limbeck.evaluate.intervals import clopper_pearson
from limbeck.monitor.today import prediction_powered, read_today

Make = Callable[..., Any]


def world(random: np.random.Generator, n: int, many: int, telling: bool) -> tuple[Any, Any, Any]:
    p = random.beta(1, 6, size=n + many)
    truth = (random.random(n + many) < p).astype(np.float64)
    predicted = p if telling else random.permutation(p)
    return truth[:n], predicted[:n], predicted[n:]


@pytest.mark.parametrize("telling", [True, False])
def test_the_interval_holds_the_true_rate_as_often_as_it_says(telling: bool) -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        _, interval, _ = prediction_powered(*world(random, 200, 2000, telling))
        held += interval.low <= 1 / 7 <= interval.high
    assert held >= stats.binom.ppf(0.001, 600, 0.94)


def test_good_predictions_narrow_the_interval_and_bad_ones_cost_nothing() -> None:
    random = np.random.default_rng(1)
    width = {True: [], False: []}  # type: dict[bool, list[float]]
    alone = []
    for _ in range(100):
        for telling in (True, False):
            truth, predicted, others = world(random, 200, 4000, telling)
            _, interval, _ = prediction_powered(truth, predicted, others)
            width[telling].append(interval.high - interval.low)
            alone.append(2 * 1.96 * truth.std(ddof=1) / np.sqrt(200))
    assert np.mean(width[True]) < 0.96 * np.mean(alone)
    assert np.mean(width[False]) < 1.02 * np.mean(alone)


def test_few_audits_have_the_exact_interval(read: Make, call: Make, outcome: Make) -> None:
    traces = [call(number, audit=number < 25) for number in range(100)]
    marks = [outcome(trace, right=number != 3) for number, trace in enumerate(traces[:25])]
    found = read_today(read(traces, marks), 7.0)
    assert (found.calls, found.audits, found.errors, found.method) == (100, 25, 1, "exact")
    assert found.interval == clopper_pearson(1, 25)
    assert found.predicted == pytest.approx(0.03)


def test_many_audits_are_corrected_by_the_other_calls(
    read: Make, call: Make, outcome: Make
) -> None:
    random = np.random.default_rng(2)
    unsure = random.random(600) < 0.3
    traces = [
        call(number, audit=number % 3 == 0, confidence=0.7 if unsure[number] else 0.99)
        for number in range(600)
    ]
    marks = [
        outcome(trace, right=random.random() > (0.3 if unsure[number] else 0.01))
        for number, trace in enumerate(traces)
        if number % 3 == 0
    ]
    found = read_today(read(traces, marks), 7.0)
    assert found.method == "prediction-powered"
    assert found.weight > 0.3
    assert found.rate is not None
    assert found.interval.low < found.rate < found.interval.high


def test_no_local_answer_is_no_error(read: Make) -> None:
    found = read_today(read([], []), 7.0)
    assert (found.calls, found.rate, found.predicted) == (0, None, None)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from limbeck.errors import DataError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibration import calibration_suite, ece, reliability
from limbeck.evaluate.risk import coverage_at, curve
from limbeck.evaluate.signals.reading import Reading
from limbeck.evaluate.signals.table import USUAL
from limbeck.models.local import Said


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and outcomes that come true as often as they say."""
    random = np.random.default_rng(seed)
    said = random.random(n)
    return said, random.random(n) < said


def test_a_true_probability_misses_by_no_more_than_luck() -> None:
    said, right = drawn(2000)
    found = reliability("p", said, right)
    assert found.ece == pytest.approx(found.ece_by_luck, abs=0.02)
    assert found.brier == pytest.approx(np.mean((said - right) ** 2))
    assert found.brier_interval.low < found.brier < found.brier_interval.high
    assert sum(one.n for one in found.bins) == 2000


def test_an_overconfident_one_is_caught() -> None:
    said, right = drawn(2000)
    found = reliability("p", np.sqrt(said), right)
    assert found.ece_interval.low > found.ece_by_luck


def test_ece_of_a_constant_is_its_distance_from_the_rate() -> None:
    right = np.array([True] * 30 + [False] * 70)
    assert ece(np.full(100, 0.8), right, bins=1) == pytest.approx(0.5)


def test_coverage_grows_with_the_risk_that_is_allowed() -> None:
    said, right = drawn(1000)
    found = reliability("p", said, right).coverages
    covered = [one.coverage for one in found]
    assert covered == sorted(covered)
    points = curve(said, right)
    assert covered == [coverage_at(points, one.risk) for one in found]
    assert covered[-1] < 1


def test_the_fitted_probability_is_nearer_than_the_students_own(
    answers: Callable[..., Answers],
) -> None:
    def made(seed: int) -> Answers:
        said, right = drawn(600, seed)
        logit = np.log(said / (1 - said))
        signals = np.repeat(logit[:, None], len(USUAL), axis=1)
        bare = answers(right, signals=signals)
        # Its own likelihood says nearly 1 whatever comes.
        readings = tuple(
            Reading("q", Said("grant", None, (-0.001,), 1.0, 0.0, 2, True), bare.card.task, "grant")
            for _ in right
        )
        return replace(bare, readings=readings)

    found = calibration_suite(made(1), made(2))
    own, fitted = found.reliabilities
    assert fitted.brier < own.brier - 0.1
    assert fitted.ece < 0.08 < own.ece
    assert any("too sure by its own likelihood" in text for text in found.findings)


def test_who_gives_no_probabilities_is_told_so(answers: Callable[..., Answers]) -> None:
    with pytest.raises(DataError, match="gives no probabilities"):
        calibration_suite(answers(np.ones(50, dtype=np.bool_)), None)

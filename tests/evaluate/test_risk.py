from __future__ import annotations

import numpy as np
import pytest

from limbeck.evaluate.risk import aurc, coverage_at, curve

SCORE = np.array([0.9, 0.8, 0.8, 0.5, 0.1])
RIGHT = np.array([True, True, False, True, False])


def test_ties_are_kept_or_left_together() -> None:
    points = [(p.threshold, p.coverage, p.risk) for p in curve(SCORE, RIGHT)]
    assert points == [
        (0.9, 0.2, 0.0),
        (0.8, 0.6, pytest.approx(1 / 3)),
        (0.5, 0.8, 0.25),
        (0.1, 1.0, 0.4),
    ]


def test_coverage_is_the_largest_whose_risk_is_small_enough() -> None:
    points = curve(SCORE, RIGHT)
    # Selective risk falls again at 0.5, so the first threshold above the risk is not the end.
    assert coverage_at(points, 0.25) == 0.8
    assert coverage_at(points, 0.1) == 0.2
    assert coverage_at(curve(SCORE, ~RIGHT), 0.1) == 0.0


def test_the_area_is_the_mean_risk_over_the_coverages() -> None:
    assert aurc(SCORE, RIGHT) == pytest.approx(np.mean([0, 0, 1 / 3, 1 / 4, 2 / 5]))
    assert aurc(SCORE, np.ones(5, dtype=np.bool_)) == 0.0

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.curate.assess.curve import DRAWS, extrapolate, fit_power
from limbeck.curate.assess.settings import AssessSettings

SIZES = np.array([50, 100, 200, 400, 800, 1600])
SETTINGS = AssessSettings()


def law(n: np.ndarray, c: float, a: float, b: float) -> np.ndarray:
    return np.clip(c + a * n**-b, 0, 1)


@given(st.floats(0, 0.2), st.floats(0.5, 3), st.floats(0.3, 1.2))
@settings(max_examples=50, deadline=None)
def test_a_curve_that_is_a_power_law_is_found_again(c: float, a: float, b: float) -> None:
    sizes = SIZES.astype(float)
    if c + a * 50**-b >= 1:
        return
    fit = fit_power(SIZES, law(sizes, c, a, b)[None])
    # The exponents are a grid of steps of 6 %.
    np.testing.assert_allclose(fit.error(3200), law(np.array(3200.0), c, a, b), atol=0.01)
    assert fit.c[0] >= 0
    assert fit.a[0] >= 0


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
@settings(max_examples=50, deadline=None)
def test_a_fit_to_anything_falls_and_stays_a_share(errors: list[float]) -> None:
    fit = fit_power(SIZES, np.array([errors]))
    later = [float(fit.error(n)[0]) for n in (50, 500, 5000, 50000)]
    assert later == sorted(later, reverse=True)
    assert all(0 <= error <= 1 for error in later)


def noisy(c: float, a: float, b: float, spread: float = 0.01) -> np.ndarray:
    random = np.random.default_rng(1)
    errors = law(SIZES.astype(float), c, a, b) + random.normal(0, spread, (10, len(SIZES)))
    return np.asarray(1 - errors)


def test_what_is_needed_for_an_accuracy_is_where_the_law_reaches_it() -> None:
    beyond = extrapolate(SIZES, noisy(0.02, 2.0, 0.5, 0.002), 2000, 0.95, SETTINGS)
    # 0.02 + 2 / sqrt(n) = 0.05 at n = 4444.
    assert beyond.needed is not None
    assert beyond.needed.more == pytest.approx(4444 - 2000, rel=0.3)
    assert beyond.needed.more is not None
    assert beyond.needed.low is not None
    assert beyond.needed.low <= beyond.needed.more
    assert beyond.needed.reached > 0.9


def test_an_accuracy_above_the_ceiling_is_out_of_reach() -> None:
    beyond = extrapolate(SIZES, noisy(0.3, 2.0, 0.7), 2000, 0.95, SETTINGS)
    assert beyond.needed is not None
    assert beyond.needed.more is None
    assert beyond.needed.reached < 0.05
    assert beyond.ceiling.low < 0.72 < beyond.ceiling.high + 0.03


def test_what_is_reached_already_needs_no_more() -> None:
    beyond = extrapolate(SIZES, noisy(0.0, 1.0, 0.8), 2000, 0.9, SETTINGS)
    assert beyond.needed is not None
    assert beyond.needed.more == 0
    assert beyond.doubling.high < 0.03


def test_a_curve_that_is_no_power_law_misses_its_last_point() -> None:
    accuracies = np.tile([0.5, 0.5, 0.5, 0.5, 0.5, 0.9], (10, 1))
    assert extrapolate(SIZES, accuracies, 2000, None, SETTINGS).missed == pytest.approx(
        0.4, abs=0.01
    )
    straight = extrapolate(SIZES, noisy(0.1, 2.0, 0.6, 0.001), 2000, None, SETTINGS)
    assert straight.missed is not None
    assert straight.missed < 0.02


def test_a_curve_with_more_noise_has_wider_intervals() -> None:
    quiet, loud = (
        extrapolate(SIZES, noisy(0.1, 2.0, 0.6, spread), 2000, None, SETTINGS).ceiling
        for spread in (0.001, 0.03)
    )
    assert loud.high - loud.low > quiet.high - quiet.low
    assert DRAWS >= 100

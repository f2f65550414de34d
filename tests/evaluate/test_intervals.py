from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limbeck.evaluate.intervals import (
    clopper_pearson,
    holm,
    mcnemar,
    mean_interval,
    paired_difference,
    paired_means,
    unpaired_difference,
    wilson,
)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.490162, 0.943318), (0, 10, 0.0, 0.277533), (95, 100, 0.888250, 0.978457)],
)
def test_wilson_has_the_published_values(right: int, n: int, low: float, high: float) -> None:
    found = wilson(right, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.443905, 0.974789), (0, 10, 0.0, 0.308497), (10, 10, 0.691503, 1.0)],
)
def test_clopper_pearson_has_the_published_values(
    right: int, n: int, low: float, high: float
) -> None:
    found = clopper_pearson(right, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_both_intervals_agree_with_scipy(counts: tuple[int, int]) -> None:
    right, n = counts
    test = stats.binomtest(right, n)
    for name, ours in (("wilson", wilson(right, n)), ("exact", clopper_pearson(right, n))):
        theirs = test.proportion_ci(0.95, method=name)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_nothing_counted_says_nothing() -> None:
    for interval in (wilson(0, 0), clopper_pearson(0, 0)):
        assert (interval.low, interval.high) == (0.0, 1.0)


def test_mcnemar_is_the_exact_binomial_of_the_items_that_differ() -> None:
    both, first, second, neither = 50, 10, 2, 7
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    # 2 · (1 + 12 + 66) / 2**12
    assert mcnemar(a, b) == pytest.approx(0.03857421875)
    assert mcnemar(b, a) == pytest.approx(0.03857421875)
    assert mcnemar(a, a) == 1.0


def test_the_paired_bootstrap_covers_the_difference_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    runs, items = 400, 150
    covered = 0
    for run in range(runs):
        easy = random.random(items) < 0.6
        a = (random.random(items) < np.where(easy, 0.95, 0.5))[None]
        b = (random.random(items) < np.where(easy, 0.9, 0.35))[None]
        truth = 0.6 * 0.05 + 0.4 * 0.15
        interval = paired_difference(a, b, draws=400, seed=run)
        covered += interval.low <= truth <= interval.high
    # 95 % of 400, within what chance allows of it and what a bootstrap of 150 items loses.
    assert 0.91 <= covered / runs <= 0.99


def test_pairing_narrows_the_interval() -> None:
    random = np.random.default_rng(0)
    a = random.random((1, 400)) < 0.7
    b = a.copy()
    b[0, :8] = ~b[0, :8]
    paired = paired_difference(a, b)
    shuffled = paired_difference(a, b[:, random.permutation(400)])
    assert paired.high - paired.low < 0.4 * (shuffled.high - shuffled.low)


def test_seeds_that_differ_widen_the_interval() -> None:
    items = np.random.default_rng(0).random(2000)
    alike = np.stack([items < 0.7] * 3)
    unlike = np.stack([items < share for share in (0.6, 0.7, 0.8)])
    narrow, wide = mean_interval(alike), mean_interval(unlike)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_one_seed_has_wilsons_interval() -> None:
    right = np.array([[True] * 8 + [False] * 2])
    assert mean_interval(right) == wilson(8, 10)


def test_an_interval_is_the_same_again() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((3, 50)) < 0.7, random.random((3, 50)) < 0.5
    assert paired_difference(a, b) == paired_difference(a, b)


def test_the_interval_of_paired_numbers_holds_their_mean_difference() -> None:
    random = np.random.default_rng(0)
    first = random.random(300)
    second = first + 0.1 + 0.01 * random.random(300)
    found = paired_means(first, second)
    assert found.low < (first - second).mean() < found.high
    # Paired: far narrower than what the spread of either would give.
    assert found.high - found.low < 0.005


def test_newcombes_interval_is_that_of_his_paper() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II, case (a), method 10: 56/70 and 48/80.
    found = unpaired_difference(56, 70, 48, 80)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_no_items_leave_any_difference_open() -> None:
    found = unpaired_difference(0, 0, 3, 4)
    assert (found.low, found.high) == (-1.0, 1.0)


def test_holm_stops_at_the_first_that_stands() -> None:
    assert holm([0.001, 0.04, 0.012, 0.2]) == [True, False, True, False]
    assert holm([]) == []

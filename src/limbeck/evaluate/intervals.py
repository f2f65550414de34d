"""Intervals and paired tests: every number that is shown comes with one of these."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from limbeck.types import Noun


class Interval(Noun):
    """A 95 % interval unless said otherwise; proportions lie between 0 and 1."""

    low: float
    high: float


def wilson(right: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson 1927); (0, 1) where nothing was counted."""
    if n == 0:
        return Interval(low=0.0, high=1.0)
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half))


def clopper_pearson(right: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a proportion (Clopper and Pearson 1934)."""
    if n == 0:
        return Interval(low=0.0, high=1.0)
    tail = (1 - confidence) / 2
    low = 0.0 if right == 0 else float(stats.beta.ppf(tail, right, n - right + 1))
    high = 1.0 if right == n else float(stats.beta.ppf(1 - tail, right + 1, n - right))
    return Interval(low=low, high=high)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided p-value that two students are equally often right on the same items."""
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, draws: int = 4000, seed: int = 0
) -> Interval:
    """Bootstrap interval of mean(first) − mean(second), in share of items.

    Both are (S, N): S seeds and the same N items. Items are resampled in pairs, and seeds too where
    there are several, so that the interval covers the luck of the items and of the training.
    """
    random = np.random.default_rng(seed)
    difference = first.astype(np.float64) - second.astype(np.float64)  # (S, N)
    seeds, items = difference.shape
    counts = random.multinomial(items, np.full(items, 1 / items), size=draws)  # (draws, N)
    by_seed = counts @ difference.T / items  # (draws, S)
    if seeds > 1:
        picked = random.integers(0, seeds, size=(draws, seeds))
        by_seed = np.take_along_axis(by_seed, picked, axis=1)
    low, high = np.quantile(by_seed.mean(axis=1), [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def mean_interval(right: NDArray[np.bool_], *, draws: int = 4000, seed: int = 0) -> Interval:
    """Interval of an accuracy over (S, N) seeds and items: Wilson for one seed, bootstrap for more."""
    seeds, items = right.shape
    if seeds == 1:
        return wilson(int(right.sum()), items)
    return paired_difference(right, np.zeros_like(right), draws=draws, seed=seed)


def paired_means(
    first: NDArray[np.float64], second: NDArray[np.float64], *, draws: int = 4000, seed: int = 0
) -> Interval:
    """Bootstrap interval of mean(first) − mean(second) for numbers (N,) on the same items."""
    random = np.random.default_rng(seed)
    difference = first - second
    n = len(difference)
    if n == 0:
        return Interval(low=-math.inf, high=math.inf)
    counts = random.multinomial(n, np.full(n, 1 / n), size=draws)  # (draws, N)
    low, high = np.quantile(counts @ difference / n, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def unpaired_difference(right: int, n: int, other_right: int, other_n: int) -> Interval:
    """Interval of the difference of two proportions on different items (Newcombe 1998, method 10)."""
    if n == 0 or other_n == 0:
        return Interval(low=-1.0, high=1.0)
    a, b = wilson(right, n), wilson(other_right, other_n)
    p, q = right / n, other_right / other_n
    return Interval(
        low=p - q - math.hypot(p - a.low, b.high - q),
        high=p - q + math.hypot(a.high - p, q - b.low),
    )


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which hypotheses fall at `level` for all of them together (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    fallen = [False] * len(p_values)
    for rank, at in enumerate(order):
        if p_values[at] > level / (len(p_values) - rank):
            break
        fallen[at] = True
    return fallen

"""The statistics of an assessment: intervals, entropy, stability, growth. Pure functions of counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from limbeck.curate.assess.findings import Estimate

Z95 = float(stats.norm.ppf(0.975))
DAYS_A_MONTH = 365.25 / 12


def proportion(right: float, n: float) -> Estimate | None:
    """A share with its Wilson interval (Wilson 1927); None where nothing was counted.

    `right` need not be whole: a mean of `n` shares is treated as if each were one trial, which is
    never too narrow.
    """
    if n <= 0:
        return None
    share = right / n
    middle = (share + Z95 * Z95 / (2 * n)) / (1 + Z95 * Z95 / n)
    half = Z95 / (1 + Z95 * Z95 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Estimate(value=share, low=min(low, share), high=max(high, share))


def entropy_bits(counts: Sequence[int] | NDArray[np.int64]) -> float:
    """Shannon entropy of the shares of `counts`, in bits."""
    shares = np.asarray(counts, dtype=np.float64)
    shares = shares[shares > 0] / max(shares.sum(), 1)
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def stability_index(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """The population stability index of two histograms over the same cells, at least 0.

    Half a count is added to each cell, so that an empty one does not make it infinite.
    """
    p = (before + 0.5) / (before + 0.5).sum()
    q = (after + 0.5) / (after + 0.5).sum()
    return max(0.0, float(((q - p) * np.log(q / p)).sum()))


def chance_index(n_before: int, n_after: int, cells: int) -> float:
    """The index that chance exceeds once in a hundred times though nothing changed.

    Without a change the index over (1/n + 1/m) is about chi-squared with cells − 1 degrees of freedom
    (Yurdakul 2018, "Statistical Properties of Population Stability Index").
    """
    if cells < 2 or not n_before or not n_after:
        return math.inf
    return float(stats.chi2.ppf(0.99, cells - 1)) * (1 / n_before + 1 / n_after)


def monthly_growth(weeks: Sequence[int]) -> Estimate | None:
    """Growth a month of weekly counts, 0.1 for 10 %; None with fewer than four weeks.

    A log-linear regression with the spread of the counts around it (quasi-Poisson), and Student's t.
    """
    counts = np.asarray(weeks, dtype=np.float64)
    if len(counts) < 4 or counts.sum() == 0:
        return None
    x = np.column_stack([np.ones(len(counts)), np.arange(len(counts)) - (len(counts) - 1) / 2])
    beta = np.array([math.log(counts.mean()), 0.0])
    for _ in range(50):
        mean = np.exp(np.clip(x @ beta, -30, 30))
        information = x.T @ (x * mean[:, None])
        step = np.linalg.solve(information + 1e-9 * np.eye(2), x.T @ (counts - mean))
        # A long step of Newton's may leave for infinity where most weeks are empty.
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    mean = np.exp(np.clip(x @ beta, -30, 30))
    free = len(counts) - 2
    spread = max(1.0, float(((counts - mean) ** 2 / np.maximum(mean, 1e-9)).sum() / free))
    information = x.T @ (x * mean[:, None]) + 1e-9 * np.eye(2)
    error = math.sqrt(spread * float(np.linalg.inv(information)[1, 1]))
    half = float(stats.t.ppf(0.975, free)) * error
    weeks_a_month = DAYS_A_MONTH / 7
    low, value, high = (
        math.expm1(min(50.0, rate * weeks_a_month))
        for rate in (float(beta[1]) - half, float(beta[1]), float(beta[1]) + half)
    )
    return Estimate(value=value, low=low, high=high)


def mean_estimate(total: float, squares: float, n: int) -> Estimate | None:
    """The mean of `n` values, from their sum and the sum of their squares; None of none."""
    if n == 0:
        return None
    mean = total / n
    variance = max(0.0, squares / n - mean * mean) * n / max(n - 1, 1)
    half = Z95 * math.sqrt(variance / n)
    return Estimate(value=mean, low=mean - half, high=mean + half)


def labels_for_promise(max_risk: float, confidence: float) -> int:
    """Answered calls that must be checked to promise `max_risk` with `confidence`, where the student
    in fact errs half as often: within 2 % the least n with
    P(Bin(n, max_risk) <= n max_risk / 2) <= 1 − confidence."""
    n = 1
    while stats.binom.cdf(math.floor(n * max_risk / 2), n, max_risk) > 1 - confidence:
        n += max(1, n // 50)
    return n

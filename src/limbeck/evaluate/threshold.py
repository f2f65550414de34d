"""Which threshold keeps a promise: Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052).

One part of the data chooses the candidates and their order, another tests them in that order. A test
of "the promise is broken at this threshold" is passed at p ≤ δ, and the last one before the first
failure is taken, so that a broken promise is let through with probability δ at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from limbeck.evaluate.betting import mean_below

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CANDIDATES = 60
STARTS = ((0.4, 0.25), (0.7, 0.25), (1.0, 0.5))
"""Where on the way to the most promising threshold a test begins, and the part of δ that it has."""


@dataclass(frozen=True)
class Judged:
    """N verified replies with the score of each. A reply that was not in the task's form has a score
    below every threshold, because it always goes to the teacher."""

    score: Floats  # (N,)
    right: Bools  # (N,)
    teacher_right: Bools  # (N,)

    def part(self, rows: Bools) -> Judged:
        return Judged(self.score[rows], self.right[rows], self.teacher_right[rows])


class Trial(NamedTuple):
    """One threshold, what it kept, the p-value that the promise is broken at it, and whether that is
    small enough where it was tested."""

    threshold: float
    kept: int
    errors: int
    p_value: float
    passed: bool = False


Promise = Callable[[Judged, Floats], list[Trial]]
"""The tests of one promise at several thresholds."""


def at_most_wrong(max_risk: float) -> Promise:
    """At most `max_risk` of the calls at or above the threshold are wrong: P(Bin(kept, α) ≤ errors)."""

    def test(judged: Judged, thresholds: Floats) -> list[Trial]:
        kept, errors = _counts(judged, thresholds)
        # No calls show nothing: the tail of an empty count is 1.
        tail = np.where(kept > 0, stats.binom.cdf(errors, np.maximum(kept, 1), max_risk), 1.0)
        return _trials(thresholds, kept, errors, tail)

    return test


def at_least_right(accuracy: float) -> Promise:
    """At least `accuracy` of all calls are right, whoever answers them: the same tail, over all."""

    def test(judged: Judged, thresholds: Floats) -> list[Trial]:
        kept, errors = _counts(judged, thresholds)
        local = judged.score >= thresholds[:, None]  # (thresholds, N)
        wrong = np.where(local, ~judged.right, ~judged.teacher_right).sum(axis=1)
        n = len(judged.score)
        tail = stats.binom.cdf(wrong, n, 1 - accuracy) if n else np.ones(len(thresholds))
        return _trials(thresholds, kept, errors, tail)

    return test


def at_most_worse(max_regret: float, delta: float) -> Promise:
    """The calls at or above the threshold are wrong at most `max_regret` more often than they would be
    with the teacher. The difference of one call is -1, 0 or 1, so that it is tested by betting."""

    def test(judged: Judged, thresholds: Floats) -> list[Trial]:
        kept, errors = _counts(judged, thresholds)
        worse = judged.teacher_right.astype(np.float64) - judged.right.astype(np.float64)
        tail = [
            mean_below((worse[judged.score >= one] + 1) / 2, (max_regret + 1) / 2, delta)
            for one in thresholds.tolist()
        ]
        return _trials(thresholds, kept, errors, np.array(tail))

    return test


def learn_then_test(
    fit: Judged, bound: Judged, promise: Promise, fewest: int, delta: float
) -> Trial:
    """The lowest threshold that passes; where none does, the one that came nearest.

    The thresholds are tested from the surest calls on by the fallback procedure (Wiens and Dmitrienko
    2005, J. Biopharm. Stat. 15:929): each of STARTS brings a part of δ, and a threshold that passes
    hands on what it was tested with. With probability 1 − δ no threshold passes whose promise is not
    kept. The last start lies where `fit` gives the smallest p-value, the others before it, because
    `fit` flatters the rule that it made. Few calls prove nothing, so that the surest are not the first:
    `fewest` is how many calls the first candidate keeps of `fit`.
    """
    thresholds = candidates(fit.score[np.isfinite(fit.score)], fewest)
    if not len(thresholds):
        return Trial(math.inf, 0, 0, 1.0)
    begin = int(np.argmin([one.p_value for one in promise(fit, thresholds)]))
    brought = np.zeros(len(thresholds))
    for share, part in STARTS:
        brought[round(share * begin)] += part * delta
    best: Trial | None = None
    nearest: Trial | None = None
    level = 0.0
    for one, more in zip(promise(bound, thresholds), brought.tolist(), strict=True):
        level += more
        if level == 0:
            continue
        if one.p_value <= level:
            best = one._replace(passed=True)
        else:
            level = 0.0
            nearest = one if nearest is None or one.p_value < nearest.p_value else nearest
    found = best or nearest
    assert found is not None
    return found


def candidates(score: Floats, fewest: int) -> Floats:
    """Thresholds from the surest `fewest` calls to all of them, the highest first."""
    if not len(score):
        return np.array([])
    shares = np.linspace(min(1.0, fewest / len(score)), 1.0, CANDIDATES)
    return np.asarray(np.unique(np.quantile(score, 1 - shares))[::-1], dtype=np.float64)


def fewest_calls(max_risk: float, delta: float) -> int:
    """Calls without a single error that are needed to show a risk of `max_risk` at most."""
    return math.ceil(math.log(delta) / math.log1p(-max_risk))


def upper_risk(errors: int, kept: int, delta: float) -> float:
    """The error rate that is exceeded with probability δ at most (Clopper and Pearson 1934)."""
    if errors >= kept:
        return 1.0
    return float(stats.beta.ppf(1 - delta, errors + 1, kept - errors))


def _counts(judged: Judged, thresholds: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At each threshold the calls kept and the errors among them."""
    local = judged.score >= thresholds[:, None]  # (thresholds, N)
    return local.sum(axis=1), (local & ~judged.right).sum(axis=1)


def _trials(
    thresholds: Floats, kept: NDArray[np.int64], errors: NDArray[np.int64], tail: Floats
) -> list[Trial]:
    columns = thresholds.tolist(), kept.tolist(), errors.tolist(), tail.tolist()
    return [Trial(*row) for row in zip(*columns, strict=True)]

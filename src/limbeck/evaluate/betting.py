"""Testing by betting: capital that no rule can expect to grow while the null hypothesis is true.

A bet on the next outcome is fixed before it is seen. If the mean is what the hypothesis says, the
capital is a non-negative martingale that begins at 1, so that it ever reaches 1/δ with probability δ
at most (Ville 1939): one may look after every outcome and stop whenever one likes. Waudby-Smith and
Ramdas 2023, "Estimating means of bounded random variables by betting" (arXiv 2010.09686).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.intervals import Interval

Floats = NDArray[np.float64]

ODDS = (1.3, 1.7, 2.3, 3.5, 5.5, 10.0)
"""How many times the odds of an error may have grown: the alarm bets on each of them."""
FROM_THE_START = 0.5
"""Share of the capital that is on bets that stand from the first audit; the rest waits for a change
that comes later."""
_STARTS = 2.2
"""No less than the sum of 1 / (k ln² k) over k from 2, which is 2.11."""
GRID = 1000


def alarm_capital(wrong: NDArray[np.bool_], max_risk: float) -> Floats:
    """Capital after each outcome of bets that the error rate is above `max_risk`; (..., T) in and out.

    While the chance of an error is at most `max_risk` at every outcome, whatever happened before, it
    ever reaches 1/δ with probability δ at most. Bets are laid on several rates above it and from
    several beginnings, so that an error rate that was low for long and then jumps is found too
    (Shin, Ramdas and Rinaldo 2023, arXiv 2203.03532, mix beginnings likewise).
    """
    odds = np.array(ODDS)
    rates = odds * max_risk / (1 - max_risk + odds * max_risk)
    won, lost = rates / max_risk, (1 - rates) / (1 - max_risk)  # (B,)
    share = 1 / len(odds)
    *outer, length = wrong.shape
    stakes = np.full((*outer, len(odds)), FROM_THE_START * share)
    cash = 1 - FROM_THE_START
    capital = np.empty(wrong.shape)
    for at in range(length):
        laid = (1 - FROM_THE_START) / (_STARTS * (at + 2) * math.log(at + 2) ** 2)
        cash -= laid
        stakes += laid * share
        stakes *= np.where(wrong[..., at, None], won, lost)
        capital[..., at] = stakes.sum(axis=-1) + cash
    return capital


def first_alarm(wrong: NDArray[np.bool_], max_risk: float, delta: float) -> int | None:
    """After how many outcomes the alarm is raised with false alarms in δ of all streams, or None."""
    reached = np.flatnonzero(alarm_capital(wrong, max_risk) >= 1 / delta)
    return int(reached[0]) + 1 if len(reached) else None


def likely_rise(wrong: NDArray[np.bool_], max_risk: float) -> int:
    """The outcome from which on the error rate has most likely been above `max_risk`: where the sum of
    the log odds against it was least (Page 1954, "Continuous inspection schemes")."""
    odds = ODDS[len(ODDS) // 2]
    rate = odds * max_risk / (1 - max_risk + odds * max_risk)
    odds_against = np.where(wrong, math.log(rate / max_risk), math.log((1 - rate) / (1 - max_risk)))
    return int(np.argmin(np.concatenate([[0.0], np.cumsum(odds_against)[:-1]])))


def surely_above(wrong: NDArray[np.bool_], delta: float) -> float:
    """The largest rate that the bets of the alarm have called too small: whatever happens, it passes the
    true error rate with probability `delta` at most, and the promised one when the alarm is raised."""
    if not wrong.any():
        return 0.0
    low, high = 0.0, 1.0
    while high - low > 1e-3:
        rate = (low + high) / 2
        if first_alarm(wrong, rate, delta) is not None:
            low = rate
        else:
            high = rate
    return low


def hedged_capital(values: Floats, mean: Floats, delta: float) -> Floats:
    """Capital against each `mean` (G,) after each of `values` (..., T) in [0, 1]; (..., T, G).

    Half is bet on a larger mean and half on a smaller one, with the predictable plug-in of section 4.1
    and the truncation c = 1/2; the larger half counts (theorem 3).
    """
    count = np.arange(1, values.shape[-1] + 1)
    bets = _plug_in(values, count, 2 / delta)[..., None]  # (..., T, 1)
    gain = values[..., None] - mean  # (..., T, G)
    with np.errstate(divide="ignore"):
        up = np.minimum(bets, 0.5 / np.maximum(mean, 1e-12))
        down = np.minimum(bets, 0.5 / np.maximum(1 - mean, 1e-12))
    log_up = np.cumsum(np.log1p(up * gain), axis=-2)
    log_down = np.cumsum(np.log1p(-down * gain), axis=-2)
    return np.asarray(0.5 * np.exp(np.minimum(np.maximum(log_up, log_down), 700.0)))


def confidence_sequence(values: Floats, delta: float) -> Interval:
    """Interval of the mean of `values` (T,) in [0, 1] that holds at all times at once with probability
    1 − δ, if the mean stays the same; (0, 1) for no values."""
    if not len(values):
        return Interval(low=0.0, high=1.0)
    grid = (np.arange(GRID) + 0.5) / GRID
    kept = np.zeros(GRID, dtype=np.bool_)
    for some in np.array_split(np.arange(GRID), 1 + GRID * len(values) // 2_000_000):
        kept[some] = hedged_capital(values, grid[some], delta)[-1] < 1 / delta
    inside = np.flatnonzero(kept)
    if not len(inside):
        middle = float(values.mean())
        return Interval(low=middle, high=middle)
    # A mean between two points of the grid is not excluded by them: the ends go to the next ones.
    return Interval(low=float(inside[0] / GRID), high=float((inside[-1] + 1) / GRID))


def mean_below(values: Floats, bound: float, delta: float) -> float:
    """A p-value that the mean of `values` (T,) in [0, 1] is at least `bound`: small speaks for less.

    `delta` is the level at which it will be used; it sets the size of the bets, not their validity.
    """
    if not len(values):
        return 1.0
    count = np.full(len(values), len(values))
    bets = np.minimum(_plug_in(values, count, 1 / delta, known=True), 0.75 / (1 - bound))
    capital = np.cumsum(np.log1p(bets * (bound - values)))
    return float(min(1.0, math.exp(-max(0.0, float(capital.max())))))


def _plug_in(
    values: Floats, count: NDArray[np.int64], level: float, *, known: bool = False
) -> Floats:
    """The bet on each of `values` (..., T) from those before it alone: sqrt(2 ln level / (σ² t ln(1+t))),
    or with a `known` number of outcomes, sqrt(2 ln level / (σ² T))."""
    t = np.arange(1, values.shape[-1] + 1)
    mean = (0.5 + np.cumsum(values, axis=-1)) / (t + 1)
    spread = (0.25 + np.cumsum((values - mean) ** 2, axis=-1)) / (t + 1)
    before = np.concatenate([np.full((*values.shape[:-1], 1), 0.25), spread[..., :-1]], axis=-1)
    times = count if known else t * np.log1p(t)
    return np.asarray(np.sqrt(2 * math.log(level) / (before * times)), dtype=np.float64)

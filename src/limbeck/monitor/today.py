"""Today's accuracy: the audits, corrected by what the policy itself predicts of all other calls.

Prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633) with the weight of the
predictions tuned (PPI++, 2311.01453): predictions that are no good cost nothing, and good ones narrow
the interval.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from limbeck.evaluate.intervals import Interval, clopper_pearson
from limbeck.monitor.intake import Calls
from limbeck.types import Noun

Floats = NDArray[np.float64]

FEWEST = 30
FEWEST_ERRORS = 5
"""Audits, and errors among them, below which the normal approximation is not used."""


class Today(Noun):
    """The error rate among the local answers of the last days, with a 95 % interval for one look.

    `predicted` is what the policy's own probabilities say of all of them, and `weight` how far they
    were listened to; 0 where the interval is the exact one of the audits alone.
    """

    days: float
    calls: int
    audits: int
    errors: int
    rate: float | None
    interval: Interval
    predicted: float | None
    weight: float
    method: Literal["prediction-powered", "exact"]


def read_today(calls: Calls, days: float) -> Today:
    """Of calls that are those of the last `days` already."""
    answered = calls.answered.with_columns(
        (1 - pl.col("confidence")).fill_null(0.0).alias("predicted")
    )
    checked = pl.col("audit") & pl.col("wrong").is_not_null()
    audited, rest = answered.filter(checked), answered.filter(~checked)
    wrong = audited["wrong"].to_numpy().astype(np.float64)
    errors = int(wrong.sum())
    given = {
        "days": days,
        "calls": answered.height,
        "audits": len(wrong),
        "errors": errors,
        "predicted": float(answered["predicted"].to_numpy().mean()) if answered.height else None,
    }
    if len(wrong) < FEWEST or not FEWEST_ERRORS <= errors <= len(wrong) - FEWEST_ERRORS:
        exact = clopper_pearson(errors, len(wrong))
        rate = errors / len(wrong) if len(wrong) else None
        return Today(**given, rate=rate, interval=exact, weight=0.0, method="exact")
    rate, interval, weight = prediction_powered(
        wrong, audited["predicted"].to_numpy(), rest["predicted"].to_numpy()
    )
    return Today(**given, rate=rate, interval=interval, weight=weight, method="prediction-powered")


def prediction_powered(
    truth: Floats, predicted: Floats, others: Floats, confidence: float = 0.95
) -> tuple[float, Interval, float]:
    """The mean of `truth` (n,) over all, its interval, and the weight of the predictions.

    `predicted` (n,) are the predictions of the same calls and `others` (N,) those of calls that nobody
    checked; which were checked is a matter of chance.
    """
    n, many = len(truth), len(others)
    spread = float(np.var(np.concatenate([predicted, others]), ddof=1))
    weight = 0.0
    if many and spread > 1e-12:
        covariance = float(np.cov(truth, predicted)[0, 1])
        weight = min(1.0, max(0.0, covariance / ((1 + n / many) * spread)))
    left = truth - weight * predicted
    rate = float(left.mean()) + (weight * float(others.mean()) if many else 0.0)
    variance = float(np.var(left, ddof=1)) / n
    variance += weight**2 * spread / many if many else 0.0
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt(variance)
    interval = Interval(low=max(0.0, rate - half), high=min(1.0, rate + half))
    return min(1.0, max(0.0, rate)), interval, weight

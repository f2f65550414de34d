"""How the error rate goes with the age of the student, and whether it is time to train another."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from limbeck.evaluate.intervals import Interval, wilson
from limbeck.monitor.audits import Audits
from limbeck.monitor.drift import Drift
from limbeck.monitor.intake import Calls
from limbeck.monitor.settings import MonitorSettings
from limbeck.types import Noun

WEEK = 7.0
FEWEST = 100
FEWEST_ERRORS = 5
"""Audits, and errors among them, from which on a trend is looked for."""


class Week(Noun):
    """The audits of answers that the student gave in its `age`-th week, counted from 0."""

    age: int
    audits: int
    errors: int
    rate: float
    interval: Interval


class Decay(Noun):
    """`trend` is the change of the error rate in a week; `days_left` until it passes the promise if it
    goes on so, where its interval excludes that it does not grow."""

    weeks: tuple[Week, ...]
    trend: float | None
    trend_interval: Interval | None
    days_left: float | None


class Retrain(Noun):
    """Whether to train another student, and why; `labelled` calls came to the teacher since."""

    recommended: bool
    why: tuple[str, ...]
    labelled: int


def read_decay(calls: Calls, began: datetime, max_risk: float) -> Decay:
    """By the time of the answer, not of the check."""
    audited = calls.audited.filter(pl.col("at").is_not_null())
    ages = np.array([(at - began) / timedelta(days=1) for at in audited["at"].to_list()])
    wrong = audited["wrong"].to_numpy().astype(np.float64)
    weeks = []
    for age in np.unique(np.floor(ages / WEEK)).astype(int).tolist() if len(ages) else []:
        mine = wrong[np.floor(ages / WEEK) == age]
        errors = int(mine.sum())
        weeks.append(
            Week(
                age=age,
                audits=len(mine),
                errors=errors,
                rate=errors / len(mine),
                interval=wilson(errors, len(mine)),
            )
        )
    trend, interval, left = _trend(ages, wrong, max_risk)
    return Decay(weeks=tuple(weeks), trend=trend, trend_interval=interval, days_left=left)


def _trend(
    ages: np.ndarray[tuple[int], np.dtype[np.float64]],
    wrong: np.ndarray[tuple[int], np.dtype[np.float64]],
    max_risk: float,
) -> tuple[float | None, Interval | None, float | None]:
    """Least squares of being wrong on the age, with an interval that allows for unequal spread."""
    if len(wrong) < FEWEST or wrong.sum() < FEWEST_ERRORS or np.ptp(ages) < 2 * WEEK:
        return None, None, None
    x = ages - ages.mean()
    slope = float(x @ wrong / (x @ x))
    left = wrong - wrong.mean() - slope * x
    half = 1.96 * math.sqrt(float((x * left) @ (x * left))) / float(x @ x)
    low, high = slope - half, slope + half
    days = None
    if low > 0:
        now = float(wrong.mean()) + slope * float(ages.max() - ages.mean())
        days = max(0.0, (max_risk - now) / slope)
    return slope * WEEK, Interval(low=low * WEEK, high=high * WEEK), days


def recommend(
    audits: Audits,
    decay: Decay,
    drifts: list[Drift],
    calls: Calls,
    settings: MonitorSettings,
    train_examples: int,
) -> Retrain:
    """Drift alone recommends nothing: it is named beside another reason."""
    labelled = calls.rows.filter(~pl.col("student")).height
    why = []
    if audits.broken:
        why.append("the promise is broken")
    if decay.days_left is not None and decay.days_left <= settings.retrain_days:
        why.append(
            f"the error rate grows with the student's age and would pass {audits.max_risk:.1%} in "
            f"about {decay.days_left:.0f} days"
        )
    warned = [one.what for one in drifts if one.warns]
    if warned and labelled >= train_examples / 2:
        why.append(
            f"inputs have changed ({', '.join(warned)}), and {labelled:,} calls that the teacher "
            f"answered since are there to learn from"
        )
    return Retrain(recommended=bool(why), why=tuple(why), labelled=labelled)

"""How many calls there are, what they cost, and when a student has paid for itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from limbeck.curate.assess.chance import DAYS_A_MONTH, mean_estimate, monthly_growth
from limbeck.curate.assess.findings import BreakEven, Cost, Estimate, Volume
from limbeck.curate.assess.intake import PRICED, Intake
from limbeck.curate.assess.settings import AssessSettings

RECENT_DAYS = 28.0
WEEK_US = 7 * 86_400 * 1_000_000


def find_volume(read: Intake, settings: AssessSettings) -> Volume:
    """Calls, weeks, rate and trend; the rate is None where the traces have no times."""
    calls = read.calls
    at = calls["at"].drop_nulls()
    first, last = _time(at.min()), _time(at.max())
    days = (last - first).total_seconds() / 86_400 if first and last else 0.0
    recent = min(days, RECENT_DAYS)
    month = settings.monthly_calls
    if month is None and last is not None and recent > 0:
        # The call at the start of the span began it: it is not one of the calls within.
        within = int((at > last - timedelta(days=recent)).sum())
        month = within * calls.height / at.len() * DAYS_A_MONTH / recent
    weeks = whole_weeks(at)
    return Volume(
        calls=calls.height,
        students=read.students,
        failed=int(calls["failed"].sum()),
        with_context=int(calls["context"].sum()),
        without_time=calls.height - at.len(),
        first=first,
        last=last,
        days=days,
        weeks=tuple(weeks),
        month=month,
        stated=settings.monthly_calls is not None,
        trend=monthly_growth(weeks),
    )


def week_of(at: pl.Expr, last: datetime) -> pl.Expr:
    """How many whole weeks a time lies before the last call: 0 for the last seven days."""
    return ((pl.lit(last) - at).dt.total_microseconds() // WEEK_US).cast(pl.Int64)


def whole_weeks(at: pl.Series) -> list[int]:
    """Calls of each whole week that ends with the last call, oldest first."""
    last, first = _time(at.max()), _time(at.min())
    if last is None or first is None:
        return []
    back = pl.DataFrame({"at": at}).select(week_of(pl.col("at"), last)).to_series().to_numpy()
    whole = int((last - first) / timedelta(microseconds=WEEK_US))
    counts = np.bincount(back, minlength=whole)[:whole]
    return [int(count) for count in counts[::-1]]


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def find_cost(read: Intake, volume: Volume) -> Cost:
    """What the teacher costs; the mean of the calls whose cost is known stands for the others."""
    known = read.calls["cost"].drop_nulls().to_numpy()
    a_call = mean_estimate(float(known.sum()), float((known**2).sum()), len(known))
    by = read.calls["priced_by"].to_numpy()
    counts = {name: int((by == place).sum()) for place, name in enumerate(PRICED)}
    return Cost(
        a_call=a_call,
        a_month=_times(a_call, volume.month) if a_call and volume.month else None,
        **counts,
    )


def _times(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(
        value=estimate.value * factor, low=estimate.low * factor, high=estimate.high * factor
    )


def find_break_even(cost: Cost, volume: Volume, settings: AssessSettings) -> BreakEven | None:
    """When the one-off cost has come back; None where volume or cost is unknown."""
    if cost.a_month is None or cost.a_call is None:
        return None
    saved, saved_low = (
        value * settings.coverage for value in (cost.a_month.value, cost.a_month.low)
    )
    # What must be saved a month, so that the one-off cost is back in time.
    wanted = settings.monthly_cost + settings.one_off_cost / settings.max_months
    a_call = cost.a_call.value * settings.coverage
    return BreakEven(
        saved=saved,
        net=saved - settings.monthly_cost,
        months=_months(saved, settings),
        months_high=_months(saved_low, settings),
        calls_needed=wanted / a_call if a_call > 0 else float("inf"),
    )


def _months(saved: float, settings: AssessSettings) -> float | None:
    net = saved - settings.monthly_cost
    return settings.one_off_cost / net if net > 0 else None

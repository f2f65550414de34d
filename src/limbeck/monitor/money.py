"""What the cascade spends at the teacher, what it saves, and when what it took is back."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from limbeck.monitor.intake import Calls
from limbeck.monitor.settings import MonitorSettings
from limbeck.types import Noun

DAYS_A_MONTH = 365.25 / 12
FARTHEST_DAYS = 36_525


class Money(Noun):
    """USD since the policy began. `saved` is what the local answers would have cost at the teacher's
    mean price of the other calls; `net` is what is left of it after the audits and the serving.

    `break_even` is the day on which `net` reaches the one-off cost, at the rate so far; None where it
    never does, or nobody knows a price.
    """

    calls: int
    local: int
    days: float
    teacher_usd: float | None
    spent: float
    on_audits: float
    saved: float
    serving: float
    net: float
    one_off: float
    break_even: date | None


def read_money(calls: Calls, settings: MonitorSettings, began: datetime, now: datetime) -> Money:
    """Of all calls of the policy, from `began` to `now`."""
    teacher = calls.rows.filter(~pl.col("student"))
    escalated = teacher.filter(~pl.col("local"))
    on_audits = float(teacher.filter(pl.col("local"))["cost_usd"].sum())
    priced = teacher["cost_usd"].drop_nulls()
    each = float(priced.to_numpy().mean()) if len(priced) else None
    local = calls.answered.height
    days = max((now - began) / timedelta(days=1), 1e-9)
    saved = local * (each or 0.0)
    serving = settings.monthly_cost * days / DAYS_A_MONTH
    net = saved - on_audits - serving
    return Money(
        calls=calls.asked.height,
        local=local,
        days=days,
        teacher_usd=each,
        spent=float(escalated["cost_usd"].sum()) + on_audits,
        on_audits=on_audits,
        saved=saved,
        serving=serving,
        net=net,
        one_off=settings.one_off_cost,
        break_even=_break_even(net, days, settings.one_off_cost, began) if each else None,
    )


def _break_even(net: float, days: float, one_off: float, began: datetime) -> date | None:
    if net <= 0:
        return None
    after = one_off / (net / days)
    return (began + timedelta(days=after)).date() if after < FARTHEST_DAYS else None

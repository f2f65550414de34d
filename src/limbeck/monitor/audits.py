"""What the audits say of the promise: a test that may be looked at after every audit."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from limbeck.evaluate.betting import (
    alarm_capital,
    confidence_sequence,
    likely_rise,
    surely_above,
)
from limbeck.evaluate.intervals import Interval
from limbeck.monitor.intake import Calls
from limbeck.types import Noun, Policy


class Audits(Noun):
    """The checked answers of the student under one policy.

    `interval` is where the error rate lies, however often one looks: its lower end is that of the bets of
    the alarm, and passes the promise when they call it broken; its upper end holds at all times at once
    with the policy's confidence, if the rate stays the same. The promise is called broken once `capital`
    has reached `alarm_at`: where it is kept, that ever happens in `false_alarms` of all cases at most.
    `broken_after` is the number of audits at which it was, and `rose_at` the time of the answer from
    which on the error rate has most likely been too high.
    """

    n: int
    errors: int
    pending: int
    rate: float | None
    interval: Interval
    max_risk: float
    capital: float
    highest: float
    alarm_at: float
    false_alarms: float
    broken_after: int | None
    sources: dict[str, int]
    rose_at: datetime | None = None

    @property
    def broken(self) -> bool:
        return self.broken_after is not None


def read_audits(calls: Calls, policy: Policy, false_alarms: float | None = None) -> Audits:
    """The state of the promise after all audits that have an outcome."""
    delta = false_alarms if false_alarms is not None else 1 - policy.confidence
    audited = calls.audited
    wrong = audited["wrong"].to_numpy().astype(np.bool_)
    drawn = calls.answered.filter(pl.col("audit")).height
    capital = alarm_capital(wrong, policy.max_risk)
    reached = np.flatnonzero(capital >= 1 / delta)
    broken_after = int(reached[0]) + 1 if len(reached) else None
    low = surely_above(wrong, delta)
    high = confidence_sequence(wrong.astype(np.float64), 1 - policy.confidence).high
    counted = audited["source"].value_counts(sort=True)
    return Audits(
        n=len(wrong),
        errors=int(wrong.sum()),
        pending=drawn - len(wrong),
        rate=float(wrong.mean()) if len(wrong) else None,
        interval=Interval(low=low, high=max(low, high)),
        max_risk=policy.max_risk,
        capital=float(capital[-1]) if len(wrong) else 1.0,
        highest=float(capital.max(initial=1.0)),
        alarm_at=1 / delta,
        false_alarms=delta,
        broken_after=broken_after,
        rose_at=audited["at"][likely_rise(wrong[:broken_after], policy.max_risk)]
        if broken_after
        else None,
        sources=dict(counted.rows()),
    )

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from limbeck.monitor.audits import read_audits
from limbeck.monitor.decay import read_decay, recommend
from limbeck.monitor.drift import Drift
from limbeck.monitor.settings import MonitorSettings
from limbeck.types import Policy

Make = Callable[..., Any]


def aging(
    read: Make, call: Make, outcome: Make, began: datetime, rates: list[float], each: int = 200
) -> Any:
    """`each` audits a week with the error rates of `rates`."""
    random = np.random.default_rng(0)
    traces, marks = [], []
    for week, rate in enumerate(rates):
        for number in range(each):
            at = began + timedelta(days=7 * week, minutes=30 * number)
            traces.append(call(number, audit=True, at=at))
            marks.append(outcome(traces[-1], right=random.random() >= rate))
    return read(traces, marks)


def test_a_growing_error_rate_is_seen_before_the_promise_breaks(
    read: Make, call: Make, outcome: Make, began: datetime, policy: Callable[..., Policy]
) -> None:
    calls = aging(read, call, outcome, began, [0.01, 0.03, 0.05, 0.07])
    found = read_decay(calls, began, 0.10)
    assert [week.age for week in found.weeks] == [0, 1, 2, 3]
    assert [week.audits for week in found.weeks] == [200] * 4
    assert found.trend == pytest.approx(0.02, abs=0.01)
    assert found.days_left is not None
    assert 0 < found.days_left < 30
    loose = policy(max_risk=0.10)
    audits = read_audits(calls, loose)
    assert not audits.broken
    advice = recommend(audits, found, [], calls, MonitorSettings(), 1000)
    assert advice.recommended
    assert "grows with the student's age" in advice.why[0]
    patient = MonitorSettings(retrain_days=1)
    assert not recommend(audits, found, [], calls, patient, 1000).recommended


def test_a_steady_error_rate_has_no_days_left_to_count(
    read: Make, call: Make, outcome: Make, began: datetime
) -> None:
    found = read_decay(aging(read, call, outcome, began, [0.03] * 4), began, 0.05)
    assert found.trend is not None
    assert found.trend_interval is not None
    assert found.trend_interval.low <= 0
    assert found.days_left is None


def test_two_weeks_are_no_trend(read: Make, call: Make, outcome: Make, began: datetime) -> None:
    assert read_decay(aging(read, call, outcome, began, [0.1]), began, 0.05).trend is None


def test_drift_alone_recommends_nothing(
    read: Make, call: Make, began: datetime, policy: Callable[..., Policy]
) -> None:
    drift = [Drift(what="length", measure="PSI", value=0.9, limit=0.25, warns=True)]
    few = read([call(n, local=False, student=False) for n in range(10)], [])
    decay = read_decay(few, began, 0.05)
    audits = read_audits(few, policy())
    assert not recommend(audits, decay, drift, few, MonitorSettings(), 1000).recommended
    advice = recommend(audits, decay, drift, few, MonitorSettings(), 20)
    assert advice.why == (
        "inputs have changed (length), and 10 calls that the teacher answered since are there to "
        "learn from",
    )

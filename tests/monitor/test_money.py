from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from limbeck.monitor.money import read_money
from limbeck.monitor.settings import MonitorSettings

Make = Callable[..., Any]


def test_every_dollar_is_counted_once(read: Make, call: Make, began: datetime) -> None:
    """80 local answers, 8 of them audited, and 20 calls of the teacher, at 0.01 USD each."""
    local = [call(number, audit=number < 8) for number in range(80)]
    audits = [call(number, audit=True, student=False) for number in range(8)]
    escalated = [call(number, local=False, student=False) for number in range(100, 120)]
    settings = MonitorSettings(one_off_cost=7.2, monthly_cost=0.0)
    now = began + timedelta(days=10)
    found = read_money(read([*local, *audits, *escalated], []), settings, began, now)
    assert (found.calls, found.local) == (100, 80)
    assert found.teacher_usd == pytest.approx(0.01)
    assert found.spent == pytest.approx(0.28)
    assert found.on_audits == pytest.approx(0.08)
    assert found.saved == pytest.approx(0.80)
    assert found.net == pytest.approx(0.72)
    assert found.break_even == (began + timedelta(days=100)).date()


def test_what_never_comes_back_has_no_date(read: Make, call: Make, began: datetime) -> None:
    now = began + timedelta(days=30.4375)
    calls = read([call(1), call(2, local=False, student=False)], [])
    found = read_money(calls, MonitorSettings(monthly_cost=50, one_off_cost=1), began, now)
    assert found.serving == pytest.approx(50)
    assert found.net < 0
    assert found.break_even is None


def test_without_a_price_nothing_is_claimed(read: Make, call: Make, began: datetime) -> None:
    found = read_money(read([call(1)], []), MonitorSettings(), began, began + timedelta(days=1))
    assert (found.teacher_usd, found.saved, found.break_even) == (None, 0.0, None)

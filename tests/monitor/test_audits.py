from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from limbeck.evaluate.betting import alarm_capital
from limbeck.monitor.audits import read_audits
from limbeck.types import Policy

Make = Callable[..., Any]


def audited(read: Make, call: Make, outcome: Make, wrong: list[bool], **given: Any) -> Any:
    traces = [call(number, audit=True, **given) for number in range(len(wrong))]
    marks = [outcome(trace, right=not bad) for trace, bad in zip(traces, wrong, strict=True)]
    return read(traces, marks)


def test_a_kept_promise_is_not_called_broken(
    read: Make, call: Make, outcome: Make, policy: Callable[..., Policy]
) -> None:
    wrong = (np.random.default_rng(0).random(400) < 0.02).tolist()
    found = read_audits(audited(read, call, outcome, wrong), policy())
    assert not found.broken
    assert (found.n, found.errors, found.pending) == (400, sum(wrong), 0)
    assert found.interval.low < 0.02 < found.interval.high
    assert found.rose_at is None
    assert found.sources == {"gold": 400}
    assert found.alarm_at == pytest.approx(20)
    assert found.false_alarms == pytest.approx(0.05)


def test_a_broken_promise_stays_broken_though_it_gets_better_again(
    read: Make, call: Make, outcome: Make, policy: Callable[..., Policy]
) -> None:
    wrong = [True, False] * 20 + [False] * 400
    found = read_audits(audited(read, call, outcome, wrong), policy())
    assert found.broken_after is not None
    assert found.broken_after < 40
    assert found.interval.low >= 0.05 - 2e-3
    assert found.rose_at is not None
    assert found.capital < found.alarm_at < found.highest
    assert found.highest == pytest.approx(alarm_capital(np.array(wrong), 0.05).max())


def test_the_share_of_false_alarms_may_be_set(
    read: Make, call: Make, outcome: Make, policy: Callable[..., Policy]
) -> None:
    calls = audited(read, call, outcome, [True] * 3)
    assert read_audits(calls, policy()).broken
    assert not read_audits(calls, policy(), false_alarms=1e-6).broken


def test_audits_without_an_outcome_wait(
    read: Make, call: Make, policy: Callable[..., Policy]
) -> None:
    found = read_audits(read([call(1, audit=True), call(2)], []), policy())
    assert (found.n, found.pending, found.rate) == (0, 1, None)
    assert (found.interval.low, found.interval.high) == (0, 1)
    assert not found.broken


def test_no_calls_at_all_are_no_error(read: Make, policy: Callable[..., Policy]) -> None:
    found = read_audits(read([], []), policy())
    assert (found.n, found.capital, found.broken_after) == (0, 1.0, None)

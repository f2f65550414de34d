from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.errors import ConfigError
from limbeck.serve.rates import Rate, Rates, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1)),
        ("600/min", Rate(600, 60)),
        ("1000/hour", Rate(1000, 3600)),
        (" 5 / h ", Rate(5, 3600)),
        ("5000/day", Rate(5000, 86400)),
    ],
)
def test_a_rate_is_calls_by_time(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "10/week", "1.5/s", "ten/s", "1/s/s", "٣/s"]
)
def test_another_shape_of_a_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted calls by time, such as 10/s"):
        parse_rate(text)


def test_so_many_calls_pass_at_once_and_then_one_as_time_goes_by() -> None:
    rates, limit = Rates(), [("key:a", Rate(2, 10))]
    assert [rates.take(limit, 0.0) for _ in range(3)] == [None, None, 5.0]
    assert rates.take(limit, 4.0) == pytest.approx(1.0)
    assert rates.take(limit, 5.0) is None
    assert rates.take(limit, 5.0) == pytest.approx(5.0)


def test_a_bucket_holds_no_more_than_its_rate() -> None:
    rates, limit = Rates(), [("key:a", Rate(2, 1))]
    assert [rates.take(limit, at) for at in (0.0, 1e6, 1e6)] == [None, None, None]
    assert rates.take(limit, 1e6) == 0.5


def test_one_name_does_not_pay_for_another() -> None:
    rates = Rates()
    assert rates.take([("key:a", Rate(1, 60))], 0.0) is None
    assert rates.take([("key:b", Rate(1, 60))], 0.0) is None


def test_a_call_under_two_limits_takes_from_both_or_from_none() -> None:
    rates, wide, narrow = Rates(), ("key:a", Rate(10, 1)), ("task:t", Rate(1, 100))
    assert rates.take([wide, narrow], 0.0) is None
    assert rates.take([wide, narrow], 0.0) == 100.0
    # The refused call took none of the nine that were left.
    assert [rates.take([wide], 0.0) for _ in range(10)] == [None] * 9 + [0.1]


def test_a_call_without_a_limit_passes() -> None:
    assert Rates().take([], 0.0) is None


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates, limit = Rates(), [("key:a", Rate(1, 10))]
    assert rates.take(limit, 100.0) is None
    assert rates.take(limit, 0.0) == 10.0


def test_there_are_never_more_buckets_than_allowed() -> None:
    rates = Rates(most=3)
    for number in range(100):
        assert rates.take([(f"key:{number}", Rate(1, 10))], 0.0) is None
        assert len(rates) <= 3
    assert rates.take([("key:99", Rate(1, 10))], 0.0) == 10.0


@given(
    st.integers(1, 50),
    st.integers(1, 100),
    st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=200),
)
def test_no_more_calls_pass_than_the_rate_allows(
    calls: int, seconds: int, pauses: list[float]
) -> None:
    rates, now, passed = Rates(), 0.0, 0
    for pause in pauses:
        now += pause
        passed += rates.take([("key:a", Rate(calls, seconds))], now) is None
    assert passed <= calls + now * calls / seconds + 1e-6


@given(st.integers(1, 50), st.integers(1, 100), st.integers(1, 60))
def test_after_the_wait_that_was_asked_for_a_call_passes(
    calls: int, seconds: int, before: int
) -> None:
    rates, limit = Rates(), [("key:a", Rate(calls, seconds))]
    waits = [wait for _ in range(before) if (wait := rates.take(limit, 0.0)) is not None]
    if waits:
        assert rates.take(limit, waits[-1] * (1 + 1e-9) + 1e-9) is None

from __future__ import annotations

import pytest

from limbeck.evaluate.intervals import Interval
from limbeck.report import numbers


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"),
        (0.0123, "$0.0123"),
        (0.000045678, "$0.0000457"),
        (1e-9, "less than $0.000001"),
        (0.928, "$0.928"),
        (0.9999, "$1.00"),
        (7.1189, "$7.12"),
        (12_345.6, "$12,346"),
    ],
)
def test_dollars_keep_the_digits_that_say_something(amount: float, text: str) -> None:
    assert numbers.usd(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0009, "0.9 ms"),
        (0.0213, "21 ms"),
        (0.9999, "1.0 s"),
        (59.99, "1 min 00 s"),
        (268.4, "4 min 28 s"),
        (7_325, "2 h 02 min"),
    ],
)
def test_a_duration_is_in_the_unit_that_a_person_would_use(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_a_difference_carries_its_sign_and_no_negative_zero() -> None:
    assert numbers.points(0.1068) == "+10.7 points"
    assert numbers.points(-0.0004) == "+0.0 points"
    assert numbers.points_span(Interval(low=-0.11, high=0.0194)) == "[-11.0, +1.9]"


def test_a_chosen_level_is_round_and_a_measured_share_has_one_decimal() -> None:
    assert (numbers.level(0.05), numbers.level(0.125)) == ("5%", "12.5%")
    assert numbers.percent(0.05) == "5.0%"


def test_no_calls_have_no_price() -> None:
    assert numbers.per_thousand(1.2861, 400) == "$3.22"
    assert numbers.per_thousand(0.0, 0) == "unknown"


def test_a_tiny_p_value_is_bounded_and_not_rounded_to_zero() -> None:
    assert numbers.p_value(3e-9) == "p < 0.0001"
    assert numbers.p_value(0.0213) == "p = 0.021"


def test_parameters_are_counted_in_thousands_and_millions() -> None:
    assert [numbers.million(n) for n in (12, 940_416, 1_300_000)] == ["12", "940k", "1.3M"]

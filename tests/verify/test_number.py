from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.types import AnswerForm
from limbeck.verify.number import judge, normalize, parse, plain_decimal

FORM = AnswerForm(kind="number")


def test_digits_without_end_are_no_number() -> None:
    for text in ("9" * 5000, "1/" + "9" * 5000, "0." + "3" * 5000):
        assert normalize(FORM, text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("42", "42"),
        ("42.", "42"),
        ("$4.00", "4"),
        ("-$1,234.50", "-1234.5"),
        ("$-3", "-3"),
        ("1,234,567", "1234567"),
        ("4.0", "4"),
        (".5", "0.5"),
        ("-0", "0"),
        ("007", "7"),
        ("12 apples", "12"),
        ("12 km/h", "12"),
        ("$5/hour", "5"),
        ("50%", "50"),
        ("5kg", "5"),
        ("3 / 4", "0.75"),
        ("1e3", "1000"),
        ("x = 7", "7"),
        ("= 7", "7"),
        (r"\boxed{42}", "42"),
        ("**42**", "42"),
        ("(42)", "42"),
        ("\N{MINUS SIGN}5", "-5"),
        ("1/3", "0.333333333333"),
    ],
)
def test_the_value_counts_and_not_the_spelling(text: str, wanted: str) -> None:
    assert normalize(FORM, text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "12 or 13",
        "12 apples and 3 pears",
        "3 million",
        "3 dozen eggs",
        "2 and a half",
        "5k",
        "1,23",
        "1.234,56",
        "1.2.3",
        "10:30",
        "1/0",
        "--5",
        "about twelve",
        "apples 12",
        "3 + 4",
        "12 - 4",
    ],
)
def test_what_is_not_one_number_is_no_answer(text: str) -> None:
    assert normalize(FORM, text) is None


def test_the_tolerance_is_absolute_and_exact() -> None:
    form = AnswerForm(kind="number", tolerance=0.1)
    assert judge(form, "0.3", "0.2").score == 1.0
    assert judge(form, "0.3000001", "0.2").score == 0.0
    assert judge(FORM, "4.000", "4").score == 1.0
    assert judge(FORM, "4.001", "4").score == 0.0


def test_the_reason_says_what_was_got_and_what_is_right() -> None:
    assert judge(FORM, "$5.00", "4.0").reason == "5; right is 4"
    assert judge(FORM, "five", "4").reason == "'five' is not one number"
    assert judge(FORM, "4", "four").reason == "the truth 'four' is not one number"


@given(st.integers(-(10**30), 10**30), st.integers(0, 12))
def test_a_finite_decimal_is_written_exactly(numerator: int, places: int) -> None:
    value = Fraction(numerator, 10**places)
    assert parse(plain_decimal(value)) == value


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    formed = normalize(FORM, text)
    assert formed is None or normalize(FORM, formed) == formed

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.verify.arithmetic import LONGEST, evaluate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(84 / 2)", Fraction(42)),
        ("(95 * 118) + (11,210 / 84).", Fraction(941640 + 11210, 84)),
        ("2 + 3 * 4", Fraction(14)),
        ("(2 + 3) * 4", Fraction(20)),
        ("8 - 3 - 2", Fraction(3)),
        ("8 / 4 / 2", Fraction(1)),
        ("-3 - (-4)", Fraction(1)),
        ("$ 23 * 10 dollars", Fraction(230)),
        ("6 × 7", Fraction(42)),
        ("84 / 2 = 42", Fraction(42)),
        ("0.1 + 0.2", Fraction(3, 10)),
    ],
)
def test_the_value_is_exact(text: str, value: Fraction) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "()",
        "(9 + 6",
        "9 + 6)",
        "some - 18",
        "(8 action figures + 10 cabinets)",
        "1 / 0",
        "1 / (2 - 2)",
        "84 / 2 = 41",
        "2 ** 9",
        "2 3",
        "1 +",
        "7x = 14",
        "__import__('os')",
        "(" * (LONGEST + 1),
    ],
)
def test_what_is_no_arithmetic_has_no_value(text: str) -> None:
    assert evaluate(text) is None


@given(st.text(alphabet="0123456789+-*/(). =", max_size=LONGEST + 10))
def test_nothing_written_in_these_signs_raises(text: str) -> None:
    evaluate(text)


def test_the_deepest_expression_that_is_read_fits_the_stack() -> None:
    depth = LONGEST // 2 - 1
    assert evaluate("(" * depth + "7" + ")" * depth) == 7

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.curate.equations import equations, show


@pytest.mark.parametrize(
    "text",
    [
        "12 + 7 = 19.",
        "30 + 15 - 10 = 35. days 33 <= 35, in time",
        "10 / 3 = 3.33",
        "10 / 3 = 3",
        "7 * 36 is 252",
        "5 + 3 = 8 + 2 = 10",
        "- 12 + 7 = 19",
        "* 12 * 2 = 24",
        "**12 + 7 = 19**",
        "$4 * 3 = $12",
        "4x5=20",
        "2 × (3 + 4) = 14",
        "1,200 + 300 = 1,500",
        "8 - 3 * 2 = 2",
        "8 / 4 / 2 = 1",
        "-3 + 5 = 2",
        "5 / 20 = 25%",
        "5 / 20 * 100 = 25%",
        "360 * 1.33 = 480",
        "50/3=16.666666666666668",
        "After 3 days 12 + 7 = 19 apples",
        "3 red apples + 4 red apples = 7 red apples",
        "12 plus 7 equals 19, and 12 divided by 4 is 3",
        "19 - 19 = 0\n0 + 5 = 5",
    ],
)
def test_a_right_step_is_right(text: str) -> None:
    found = equations(text)
    assert found
    assert all(equation.right for equation in found), found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12 + 7 = 18", 19),
        ("30 + 15 - 10 = 40 days", 35),
        ("x = 5 + 3 = 9", 8),
        ("3 apples + 4 apples = 8 apples", 7),
        ("100 - 20 = 70 dollars", 80),
        ("4 x 5 = 21", 20),
        ("12.50 + 7.25 = 19.70", Fraction("19.75")),
        ("so 7 * 36 is 262", 252),
        ("1,200 + 300 = 1,600", 1500),
        ("days 36 <= 35, in time", 36),
    ],
)
def test_a_wrong_step_is_wrong(text: str, value: Fraction) -> None:
    [equation] = equations(text)
    assert not equation.right
    assert equation.value == value


@pytest.mark.parametrize(
    "text",
    [
        "2x + 3 = 7",
        "x - 5 + 3 = 7",
        "3 x + 2 = 11",
        "2**3 = 8 and 2^3 + 1 = 10",
        "20% of 50 + 3 = 12",
        "50 + 20% = 60",
        "half of 50 + 3 = 28",
        "twice 5 + 3 = 13",
        "3:00 + 2 = 5:00",
        "1 hour - 15 minutes = 45 minutes",
        "6 inches + 6 inches = 1 foot",
        "7 / 1/2 = 14",
        "3 1/2 + 1 = 4.5",
        "1/3 boys = 40",
        "2 * (3 + 4 = 14",
        "is 36 <= 35? no",
        "if 36 <= 35 it is in time",
        "36 <= 35 is false",
        "3 dozen + 2 = 38",
        "17 mod 5 = 2",
        "5! = 120",
        "the answer is 12",
    ],
)
def test_what_cannot_be_read_with_certainty_is_not_checked(text: str) -> None:
    assert [e for e in equations(text) if not e.right] == []


def test_the_wrong_one_of_several_steps_is_named() -> None:
    found = equations("64 - 9 = 55\n55 - 44 = 12\n12 + 53 = 65")
    assert [equation.text for equation in found if not equation.right] == ["55 - 44 = 12"]


@given(st.lists(st.integers(0, 9999), min_size=2, max_size=6), st.data())
def test_sums_that_are_right_are_never_called_wrong(terms: list[int], data: st.DataObject) -> None:
    signs = [data.draw(st.sampled_from("+-")) for _ in terms[1:]]
    total = terms[0] + sum(t if s == "+" else -t for s, t in zip(signs, terms[1:], strict=True))
    written = "".join(f" {s} {t:,}" for s, t in zip(signs, terms[1:], strict=True))
    [right] = equations(f"so {terms[0]}{written} = {total}.")
    [wrong] = equations(f"so {terms[0]}{written} = {total + 1}.")
    assert right.right
    assert not wrong.right


@given(st.text(alphabet="0123456789+-*/=()<>. ,%$x\nab:", max_size=80))
def test_no_text_makes_it_fail(text: str) -> None:
    for equation in equations(text):
        assert show(equation.value)


def test_a_deeply_nested_formula_is_left_unchecked() -> None:
    assert equations("(" * 50_000 + "1" + ")" * 50_000 + " + 1 = 2") == []

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.verify.wording import fold, stem, trim


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"yes".', "yes"),
        ("(yes)", "yes"),
        ("(a) and (b)", "(a) and (b)"),
        ("**yes**", "yes"),
        ("U.S.", "U.S."),
        ("yes!?", "yes"),
    ],
)
def test_what_stands_around_is_taken_away(text: str, wanted: str) -> None:
    assert trim(text) == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [("The  Beach", "beach"), ("ＡＢＣ", "abc"), ("U.S.", "u.s"), ("an apple.", "Apple")],
)
def test_texts_that_differ_in_nothing_that_matters_fold_to_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("faces", "face"),
        ("injuries", "injury"),
        ("cities", "city"),
        ("hats", "hat"),
        ("spreading wings", "spread wings"),
        ("someone's face", "someones face"),
        ("stopped", "stop"),
    ],
)
def test_inflections_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("caring", "car"), ("hating", "hat"), ("bus", "bu")])
def test_other_words_do_not(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@given(st.text())
def test_trimming_twice_is_trimming_once(text: str) -> None:
    assert trim(trim(text)) == trim(text)

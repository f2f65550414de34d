from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.capture.discover.tokens import is_passing, looks_like_dates, mask, tokenize


@given(st.text())
def test_joined_tokens_are_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Today is 2026-07-14.", "Today is 2026-08-01."),
        ("Today is Monday, July 6, 2026.", "Today is Friday, 14 August 2026."),
        ("It is 10:22 UTC", "It is 9:05 UTC"),
        ("Ticket AB-1234x for ann@example.org", "Ticket QQ-7 for bob.b@mail.example.com"),
        ("See https://example.org/a?b=1 now", "See http://other.example/x now"),
        ("at 2026-07-14T10:22:01.123Z,", "at 2026-01-01T00:00:00Z,"),
    ],
)
def test_texts_that_differ_in_dates_numbers_and_addresses_are_masked_alike(
    one: str, two: str
) -> None:
    assert mask(one) == mask(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [("route the ticket", "route the order"), ("is it 1.", "is it 1, 2 and?"), ("Ann", "Bob")],
)
def test_texts_that_differ_in_words_are_not(one: str, two: str) -> None:
    assert mask(one) != mask(two)


def test_dates_are_told_from_numbers() -> None:
    assert looks_like_dates(["2026-07-14", "July 3, 2026", "Monday", "10:22 UTC"])
    assert not looks_like_dates(["14", "7"])
    assert not looks_like_dates(["2026-07-14", "soon"])
    assert not looks_like_dates([])


def test_may_is_a_word_before_it_is_a_month() -> None:
    assert [is_passing(token) for token in (" July", " may", " x3", " and")] == [
        True, False, True, False,
    ]  # fmt: skip

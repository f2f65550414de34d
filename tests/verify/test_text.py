from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.types import AnswerForm
from limbeck.verify.text import judge, normalize

FORM = AnswerForm(kind="text")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  Paris ", "Paris"),
        ('"Paris"', "Paris"),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('"a" and "b"', '"a" and "b"'),
        ("  ", None),
    ],
)
def test_only_what_stands_around_the_text_is_taken_away(text: str, wanted: str | None) -> None:
    assert normalize(FORM, text) == wanted


@pytest.mark.parametrize(
    ("answer", "truth", "score"),
    [
        ("paris", "Paris.", 1.0),
        ("The  Seine", "seine", 1.0),
        ("the U.S.", "U.S", 1.0),
        ("Paris, France", "Paris", 0.0),
        ('{"b": 2, "a": 1.0}', '{"a": 1, "b": 2}', 1.0),
        ('{"a": 1}', '{"a": 2}', 0.0),
        ("{broken", '{"a": 2}', 0.0),
        ("", "x", 0.0),
    ],
)
def test_two_texts_that_say_the_same_are_equal(answer: str, truth: str, score: float) -> None:
    assert judge(FORM, answer, truth).score == score


@given(st.text().filter(str.strip))
def test_every_text_is_equal_to_itself(text: str) -> None:
    formed = normalize(FORM, text)
    assert formed is None or judge(FORM, formed, text).score == 1.0

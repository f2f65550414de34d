from __future__ import annotations

from typing import Any

import pytest

from limbeck.capture.jsonl import BadLineError
from limbeck.capture.places import as_text, as_texts, fill, look_up

ROW: dict[str, Any] = {
    "question": "Why?",
    "choices": ["a", 2, True],
    "teacher": [{"raw": "Because."}],
    "none": None,
    "meta": {"n": 1.5},
}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("question", "Why?"),
        ("teacher.0.raw", "Because."),
        ("teacher.1.raw", None),
        ("none", None),
        ("none.deeper", None),
        ("meta.n", 1.5),
        ("meta.m?", None),
        ("nothing?", None),
    ],
)
def test_dots_and_indexes_walk_in(place: str, value: object) -> None:
    assert look_up(ROW, place) == value


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("answer", "the keys are: question, choices, teacher, none, meta"),
        ("meta.m", "the keys of 'meta' are: n"),
        ("teacher.raw", "is a list; wanted an index such as 0 instead of 'raw'"),
        ("question.deeper", "the value of 'question' is 'Why?', which has no keys"),
    ],
)
def test_a_key_that_is_missing_names_those_that_are_there(place: str, wanted: str) -> None:
    with pytest.raises(BadLineError) as caught:
        look_up(ROW, place)
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("question", "Why?"),
        ("{question}", "Why?"),
        ("{question}\nChoices: {choices}", "Why?\nChoices: a | 2 | true"),
        ("{{{meta.n}}}", "{1.5}"),
        ("{question} {none}", None),
        ("none", None),
    ],
)
def test_a_template_is_filled(template: str, filled: str | None) -> None:
    assert fill(template, ROW, " | ") == filled


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (4.0, "4.0"), (True, "true"), ("x", "x"), ([1], "[1]")]
)
def test_a_scalar_becomes_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize("value", ["a, b", {"A": "a"}, [["a"]]])
def test_only_a_list_of_scalars_is_a_list_of_texts(value: object) -> None:
    with pytest.raises(BadLineError, match="wanted a list of texts"):
        as_texts(value, "choices")

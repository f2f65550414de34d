from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.capture.formats.loose import (
    first,
    loaded,
    moment,
    nested,
    number,
    seconds_between,
    tokens,
    usage_of,
    words,
)

AT = datetime(2026, 5, 28, 20, 26, 40, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-05-28T20:26:40.500Z",
        "2026-05-28T22:26:40.5+02:00",
        "2026-05-28 20:26:40.500000",
        1_780_000_000.5,
        "1780000000.5",
        1_780_000_000_500,
        "1780000000500000000",
        AT,
        AT.replace(tzinfo=None),
    ],
)
def test_a_time_is_read_in_every_unit_and_is_utc_without_a_zone(written: Any) -> None:
    assert moment(written) == AT


@pytest.mark.parametrize("written", [None, "", "soon", True, -1, 0, [], {}, date(2026, 5, 28)])
def test_what_is_no_time_is_none(written: Any) -> None:
    assert moment(written) is None


def test_only_the_text_of_an_object_or_array_is_read_as_json() -> None:
    assert loaded(' {"a": 1}') == {"a": 1}
    assert loaded("[1]") == [1]
    assert [loaded(text) for text in ("3", '"x"', "{broken", "null")] == [
        "3",
        '"x"',
        "{broken",
        "null",
    ]


def test_numbers_and_words_are_read_from_what_a_csv_has() -> None:
    assert [number(value) for value in ("0.5", 2, True, "x", "nan", "inf", None)] == [
        0.5,
        2.0,
        None,
        None,
        None,
        None,
        None,
    ]
    assert [tokens(value) for value in ("7", 7.0, -1, None)] == [7, 7, 0, 0]
    several: list[Any] = ["x", "", 3, True, None, []]
    assert [words(value) for value in several] == ["x", None, "3", None, None, None]
    assert first({"a": None, "b": 0}, "a", "b") == 0


def test_usage_without_counts_is_none_and_cached_is_never_more_than_read() -> None:
    assert usage_of(0, 0) is None
    usage = usage_of(3, 1, cached=9)
    assert usage is not None
    assert usage.cached == 3


def test_an_end_before_its_start_is_no_duration() -> None:
    assert seconds_between(AT, AT.replace(second=41)) == 1.0
    assert seconds_between(AT.replace(second=41), AT) is None
    assert seconds_between(AT, None) is None


def test_dotted_names_become_objects_and_lists() -> None:
    flat = {"m.0.role": "user", "m.1.role": "bot", "m.0.parts": [{"c.text": "x"}], "n": None}
    assert nested(flat) == {
        "m": [{"role": "user", "parts": [{"c": {"text": "x"}}]}, {"role": "bot"}]
    }
    assert nested({"a": {"b": 1}, "a.c": 2}) == {"a": {"b": 1, "c": 2}}
    assert nested({"a": 1, "a.c": 2}) == {"a": 1}


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("a.0", max_size=6), inner)
        ),
        max_leaves=12,
    )
)
def test_nesting_never_raises(values: Any) -> None:
    nested(values)

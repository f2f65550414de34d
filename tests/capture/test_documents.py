from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.capture import documents
from limbeck.capture.documents import read_document
from limbeck.capture.jsonl import BadLineError, Row, open_text


class Pieces:
    """A stream that gives its text in pieces of one size."""

    position = 0

    def __init__(self, text: str, size: int) -> None:
        self._pieces = iter([text[at : at + size] for at in range(0, len(text), size)])

    def read(self, size: int) -> str:
        return next(self._pieces, "")


def rows(text: str, size: int = 7) -> list[Row]:
    return list(read_document(Pieces(text, size)))


def values(text: str, size: int = 7) -> list[dict[str, Any]]:
    return [row.values for row in rows(text, size)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(), json_values, max_size=3), max_size=5),
    st.integers(1, 40),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_any_array_is_read_as_its_elements_however_it_is_cut(
    elements: list[dict[str, Any]], size: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=ascii_only)
    assert values(text, size) == elements


@given(
    st.lists(st.dictionaries(st.text(), json_values, max_size=3), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_a_list_within_an_object_is_read_as_its_elements(
    elements: list[dict[str, Any]], size: int
) -> None:
    page = {"object": "list", "data": elements, "has_more": False, "total": 12}
    assert values(json.dumps(page, indent=1), size) == elements


def test_the_outer_name_of_open_telemetry_belongs_to_the_row() -> None:
    assert values('{"resourceSpans": [{"a": 1}, {"a": 2}]}') == [
        {"resourceSpans": [{"a": 1}]},
        {"resourceSpans": [{"a": 2}]},
    ]


def test_an_object_without_such_a_list_is_one_row() -> None:
    assert values('{\n "a": [1],\n "b": 12\n}') == [{"a": [1], "b": 12}]
    assert values('{"data": []}') == []


def test_each_row_has_the_line_on_which_it_begins() -> None:
    text = '[\n{"a":\n1},\n\n{"a": 2}, {"a": 3}\n]'
    assert [row.line for row in rows(text)] == [2, 5, 5]


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        (
            '[{"a": 1},\n{"a": }, {"b": 123456789012345678901234567890}]',
            2,
            "broken JSON: Expecting",
        ),
        ('[{"a": 1}\n{"a": 2}]', 2, "'{' where ',' was wanted"),
        ('[{"a": 1},\n3]', 2, "'3' is no JSON object"),
        ('[{"a": 1},\n{"a": "x', 2, "the JSON breaks off; the file is incomplete"),
        ('[{"a": 1}', 1, "'the end of the file' where ',' was wanted"),
        ('[{"a": 1}]\n{"b": 2}', 2, "something follows the end of the JSON"),
        ('{"data": [{"a": 1}], 3: 4}', 1, "'3' is no key"),
    ],
)
@pytest.mark.parametrize("size", [3, 1000])
def test_what_is_broken_is_named_by_its_line(text: str, line: int, wanted: str, size: int) -> None:
    with pytest.raises(BadLineError) as caught:
        rows(text, size)
    assert wanted in str(caught.value)
    assert caught.value.line == line


def test_json_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(BadLineError, match="JSON that cannot be used"):
        rows("[" * 100_000, 200_000)


def test_the_rows_before_a_break_come_first() -> None:
    seen: list[int] = []

    def take(found: Iterator[Row]) -> None:
        seen.extend(row.values["a"] for row in found)

    with pytest.raises(BadLineError, match="breaks off"):
        take(read_document(Pieces('[{"a": 1}, {"a": 2}, {"a"', 5)))
    assert seen == [1, 2]


def test_one_value_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST_LINE", 1000)
    with pytest.raises(BadLineError, match="one value is longer than 1,000 characters"):
        rows('[{"a": "' + "x" * 5000 + '"}]', 100)


def test_memory_does_not_grow_with_the_array(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.json"
        row = json.dumps({"text": "x" * 1000})
        path.write_text(f"[{','.join([row] * count)}]")
        tracemalloc.start()
        with open_text(path) as stream:
            assert sum(1 for _ in read_document(stream)) == count
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return grown

    peak(100)
    assert peak(10_000) < 2 * peak(2_000)

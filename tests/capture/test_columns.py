from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture import columns
from limbeck.capture.columns import delimiter_of, read_csv, read_parquet
from limbeck.capture.jsonl import BadLineError, Row


def from_text(text: str, delimiter: str = ",") -> list[Row]:
    lines = text.splitlines(keepends=True)
    return list(read_csv([(n, line, n) for n, line in enumerate(lines, 1)], delimiter))


@pytest.mark.parametrize(
    ("header", "name", "delimiter"),
    [
        ("a,b", "x", ","),
        ("a\tb", "x", "\t"),
        ("a;b", "x", ";"),
        ("a", "x.csv.gz", ","),
        ("a", "x", None),
    ],
)
def test_the_header_says_what_separates(header: str, name: str, delimiter: str | None) -> None:
    assert delimiter_of(header, name) == delimiter


def test_cells_may_hold_lines_and_an_empty_one_is_none() -> None:
    rows = from_text('id,text\n1,"one\ntwo, ""three"""\n2,\n')
    assert [(row.line, row.values) for row in rows] == [
        (3, {"id": "1", "text": 'one\ntwo, "three"'}),
        (4, {"id": "2", "text": None}),
    ]


def test_a_long_cell_is_read() -> None:
    [row] = from_text(f'id,text\n1,"{"x" * 200_000}"\n')
    assert len(row.values["text"]) == 200_000


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [("a,b\n1,2,3\n", 2, "more cells than the header"), ('a,b\n1,"2"x\n', 2, "broken CSV")],
)
def test_a_broken_row_is_named(text: str, line: int, wanted: str) -> None:
    with pytest.raises(BadLineError, match=wanted) as caught:
        from_text(text)
    assert caught.value.line == line


def test_parquet_is_read_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl

    monkeypatch.setattr(columns, "SLICE", 3)
    at = datetime(2026, 5, 28, tzinfo=UTC)
    table: list[dict[str, Any]] = [
        {"n": n, "turns": [{"role": "user", "content": str(n)}], "at": at} for n in range(8)
    ]
    path = tmp_path / "rows"
    pl.DataFrame(table).write_parquet(path)
    rows = list(read_parquet(path))
    assert [row.values for row in rows] == table
    assert [row.line for row in rows] == list(range(1, 9))
    assert rows[-1].position == path.stat().st_size


def test_half_a_parquet_file_is_told(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "rows.parquet"
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadLineError, match=r"the Parquet file cannot be read .* get it anew"):
        list(read_parquet(path))

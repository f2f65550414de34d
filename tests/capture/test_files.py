from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture import jsonl
from limbeck.capture.files import open_rows
from limbeck.capture.jsonl import BadLineError

ROWS: list[dict[str, Any]] = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


def written(kind: str) -> bytes:
    if kind == "lines":
        return b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    if kind == "csv":
        return b"a,b\n1,x\n2,y\n"
    if kind == "bom":
        return b"\xef\xbb\xbf" + json.dumps(ROWS).encode()
    indent = 2 if kind.endswith("indented") else None
    whole: Any = ROWS if kind.startswith("array") else {"data": ROWS, "meta": {"page": 1}}
    return json.dumps(whole, indent=indent).encode()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "kind", ["lines", "csv", "bom", "array", "array indented", "page indented"]
)
def test_the_kind_of_a_file_is_seen_in_its_content(tmp_path: Path, kind: str, packed: bool) -> None:
    path = tmp_path / "rows"  # the name says nothing
    path.write_bytes(gzip.compress(written(kind)) if packed else written(kind))
    assert [row.values for row in open_rows(path)] == ROWS


def test_parquet_is_seen_too(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "rows"
    pl.DataFrame(ROWS).write_parquet(path)
    assert [row.values for row in open_rows(path)] == ROWS


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", "the file is empty"),
        (b"[]", "the file is empty; wanted rows"),
        (b"a,b\n", "the file is empty; wanted rows"),
        (b"just words\n", "broken JSON at column 1"),
        (b'{"a": }\n', "broken JSON at column 7"),
        (b'[\n{"a": "\xff"}]', r"a byte \(0xff\) that is not UTF-8"),
        (gzip.compress(b'[{"a": 1}]', mtime=0)[:-6], "the gzip stream breaks off"),
        (b"PK\x03\x04 and so on", "this is a zip archive"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes, wanted: str) -> None:
    path = tmp_path / "rows"
    path.write_bytes(data)
    with pytest.raises(BadLineError, match=wanted):
        list(open_rows(path))


def test_a_page_on_one_long_line_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 1000)
    path = tmp_path / "rows"
    rows = [{"n": n, "text": "x" * 100} for n in range(100)]
    path.write_text(json.dumps({"object": "list", "data": rows}))
    assert [row.values for row in open_rows(path)] == rows


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadLineError, match="No such file"):
        list(open_rows(tmp_path / "none"))

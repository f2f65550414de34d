from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from limbeck.capture import jsonl
from limbeck.capture.jsonl import BadLineError, read_rows


def said(path: Path) -> tuple[int | None, str]:
    with pytest.raises(BadLineError) as caught:
        list(read_rows(path))
    return caught.value.line, str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_rows_come_with_their_lines(tmp_path: Path, packed: bool) -> None:
    data = b'\xef\xbb\xbf{"a": 1}\n\n{"a": "\\ud800"}\r\n{"a": 3}'
    path = tmp_path / "rows.jsonl"  # compressed or not: the name does not say
    path.write_bytes(gzip.compress(data) if packed else data)
    rows = list(read_rows(path))
    assert [(row.line, row.values["a"]) for row in rows] == [(1, 1), (3, "\ud800"), (4, 3)]
    assert rows[-1].position == path.stat().st_size


def test_two_gzip_members_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}\n'))
    assert [row.values["a"] for row in read_rows(path)] == [1, 2]


@pytest.mark.parametrize(
    ("data", "line", "wanted"),
    [
        (b"", None, "the file is empty"),
        (b"\n \n", None, "the file is empty"),
        (gzip.compress(b"", mtime=0), None, "the file is empty"),
        (b'{"a": 1}\n{"a": }\n', 2, "broken JSON at column 7: Expecting value"),
        (b'{"a": 1}\n[1]\n', 2, "'[1]' is no JSON object"),
        (b'[{"a": 1}]\n', 1, "the file is one JSON array"),
        (b'[\n{"a": 1}\n]\n', 1, "the JSON is spread over several lines"),
        (b'{"a": 1}\n{"a": "\xff"}\n', 2, "byte 8 of the line (0xff) is not UTF-8"),
        (b"[" * 100_000 + b"\n", 1, "JSON that cannot be used"),
        (b"PK\x03\x04 and so on", None, "this is a zip archive"),
        (b"PAR1 and so on", None, "this is a Parquet file"),
        (
            gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-12] + b"\0" * 12,
            None,
            "gzip stream is damaged",
        ),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, data: bytes, line: int | None, wanted: str
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(data)
    found, message = said(path)
    assert wanted in message
    assert found == line


def test_half_a_gzip_file_gives_its_whole_lines_first(tmp_path: Path) -> None:
    path = tmp_path / "rows.gz"
    lines = b"".join(b'{"n": %d, "x": "%d"}\n' % (n, n * 7919) for n in range(50_000))
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    seen: list[int] = []
    with pytest.raises(BadLineError, match="breaks off after line") as caught:
        seen.extend(row.line for row in read_rows(path))
    assert f"after line {len(seen):,};" in str(caught.value)
    assert 10_000 < len(seen) < 50_000


def test_a_file_that_is_not_there_or_a_folder_says_so(tmp_path: Path) -> None:
    assert "No such file" in said(tmp_path / "none")[1]
    assert "Is a directory" in said(tmp_path)[1]


def test_a_line_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 1000)
    path = tmp_path / "rows"
    path.write_bytes(b'{"a": "' + b"x" * 2000)
    assert said(path) == (1, "the line is longer than 1,000 bytes; wanted one JSON object a line")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.gz"
        path.write_bytes(gzip.compress(b'{"text": "%s"}\n' % (b"x" * 1000) * rows))
        tracemalloc.start()
        for _ in read_rows(path):
            pass
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return grown

    peak(100)  # what is imported on first use is not counted
    assert peak(20_000) < 2 * peak(2_000)

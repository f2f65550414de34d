"""Rows of a file of any kind that logs are exported in, told apart by content and not by name.

JSON Lines, one JSON array or object, CSV (all of them plain or gzip) and Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

from limbeck.capture.columns import PARQUET, delimiter_of, read_csv, read_parquet
from limbeck.capture.documents import read_document
from limbeck.capture.jsonl import BadLineError, LongLineError, Row, open_text, read_lines, read_rows


def open_rows(path: Path) -> Generator[Row]:
    """The rows of the file, in constant memory.

    Raises BadLineError for what cannot be read, and for a file without any row.
    """
    rows = 0
    for row in _rows(path):
        rows += 1
        yield row
    if not rows:
        raise BadLineError("the file is empty; wanted rows")


def _rows(path: Path) -> Iterator[Row]:
    if _is_parquet(path):
        return read_parquet(path)
    first = _first_line(path)
    if first is None or first.startswith("["):
        return _document(path)
    if first.startswith("{"):
        return _document(path) if _goes_on(first) else read_rows(path)
    delimiter = delimiter_of(first, path.name)
    # What is neither is told as broken JSON Lines, the form that is expected most.
    return read_csv(read_lines(path), delimiter) if delimiter else read_rows(path)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(PARQUET)) == PARQUET
    except OSError:
        return False  # whoever reads the file next says what is wrong


def _first_line(path: Path) -> str | None:
    """The first line that is not blank, or None where it is too long for one row."""
    with closing(read_lines(path)) as lines:
        try:
            return next((text.strip() for _, text, _ in lines if text.strip()), "")
        except LongLineError:
            return None


def _document(path: Path) -> Iterator[Row]:
    with open_text(path) as stream:
        yield from read_document(stream)


def _goes_on(line: str) -> bool:
    """Whether a line is the beginning of JSON that ends on a later one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line)
    except (ValueError, RecursionError):
        return False
    return False

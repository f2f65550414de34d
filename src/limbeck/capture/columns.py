"""Rows of a table file: CSV (comma, semicolon or tab) and Parquet, in constant memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from limbeck.capture.jsonl import LONGEST_LINE, BadLineError, Row

DELIMITERS = (",", "\t", ";")
PARQUET = b"PAR1"
SLICE = 4096
"""Rows of a Parquet file in memory at a time."""


def delimiter_of(header: str, name: str) -> str | None:
    """What separates the columns of a CSV file's header; None where this is no such header."""
    found = max(DELIMITERS, key=header.count)
    if header.count(found):
        return found
    return "," if ".csv" in name.lower() else None


def read_csv(lines: Iterable[tuple[int, str, int]], delimiter: str) -> Iterator[Row]:
    """The rows under the header; an empty cell is None. Raises BadLineError."""
    # The default of 128 KiB is less than a long conversation.
    csv.field_size_limit(LONGEST_LINE)
    line = position = 0

    def texts() -> Iterator[str]:
        nonlocal line, position
        for line, text, position in lines:  # noqa: B007 - the closure reads them
            yield text

    table = csv.DictReader(texts(), delimiter=delimiter, strict=True)
    try:
        for values in table:
            if None in values:
                raise BadLineError("the row has more cells than the header", table.line_num)
            filled = {key: value or None for key, value in values.items()}
            yield Row(line=table.line_num, values=filled, position=position)
    except csv.Error as error:
        raise BadLineError(f"broken CSV: {error}; correct that line", line) from None


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a Parquet file, counted from 1. Raises BadLineError."""
    # Polars takes a tenth of a second and 50 MB to import.
    import polars as pl

    size = path.stat().st_size
    start = 0
    try:
        table = pl.scan_parquet(path, glob=False)
        total = int(table.select(pl.len()).collect().item())
        while start < total:
            part = table.slice(start, SLICE).collect()
            for at, values in enumerate(part.iter_rows(named=True), start + 1):
                yield Row(line=at, values=dict[str, Any](values), position=size * at // total)
            start += SLICE
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).strip().split("\n")[0]
        raise BadLineError(
            f"the Parquet file cannot be read after row {start:,} ({first}); get it anew"
        ) from None

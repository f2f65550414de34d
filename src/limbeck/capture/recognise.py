"""Which format a file is in: by its first rows, or as it was named."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from limbeck.capture.files import open_rows
from limbeck.capture.formats.table import AUTO, ROWS, format_of, recognise, unwrapped
from limbeck.capture.jsonl import BadLineError
from limbeck.capture.places import fill, look_up
from limbeck.errors import DataError, ImportFileError
from limbeck.types import ImportMap, Task

SAMPLE = 20
"""Rows that are looked at to recognise a format."""


class Found(NamedTuple):
    """The format of a file, and why it is that."""

    name: str
    why: str = ""


def find_format(path: Path, form: str, task: Task | None, own: ImportMap | None) -> Found:
    """The format of the file: `form`, or what the first rows look like where that is `auto`.

    A mapping of one's own (`own`, or that of the task file where it fits the rows) wins over what they
    look like. Raises BadLineError for a file that cannot be read, ImportFileError for one that is not
    of the format that was named, or of two as likely, and ConfigError for a format that there is not.
    """
    if form == ROWS:
        return Found(ROWS)
    rows = _sample(path)
    if form != AUTO:
        if rows and not any(format_of(form).recognise(row) for row in rows):
            keys = ", ".join(map(str, list(rows[0])[:12]))
            raise ImportFileError(
                path,
                f"the first rows do not look like {form!r}; their keys are: {keys}; "
                f"try --format auto",
            )
        format_of(form)
        return Found(form, "you named it")
    if own is not None:
        return Found(ROWS, "you gave a mapping")
    if task is not None and _fits(rows, task.rows):
        return Found(ROWS, "[rows] of the task file fits the first rows")
    try:
        seen = recognise(rows) if rows else None
    except DataError as error:
        raise ImportFileError(path, str(error)) from None
    return Found(ROWS) if seen is None else Found(seen.name, seen.why)


def _sample(path: Path) -> list[dict[str, Any]]:
    """The first rows, as far as they can be read: what is wrong is told when they are imported."""
    sample: list[dict[str, Any]] = []
    with closing(open_rows(path)) as rows:
        try:
            for row in islice(rows, SAMPLE):
                sample += [dict(one) for one in unwrapped(row.values)[:SAMPLE]]
        except BadLineError:
            if not sample:
                raise
    return sample[:SAMPLE]


def _fits(rows: list[dict[str, Any]], mapping: ImportMap) -> bool:
    """Whether the places of the mapping that feed a trace are there, in most of the rows."""
    named = (mapping.reply, mapping.rationale, mapping.answer, mapping.truth)
    places = [place for place in named if place is not None]

    def fits(row: dict[str, Any]) -> bool:
        try:
            fill(mapping.input, row, mapping.choice_join)
            for place in places:
                look_up(row, place)
        except BadLineError:
            return False
        return True

    return bool(places) and sum(map(fits, rows)) * 2 > len(rows)

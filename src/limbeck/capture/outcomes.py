"""What turned out later: rows of a file become outcomes of traces that are in the store.

A row names its trace by `trace_id`, `request_id` or `correlation` and says `value` (the right
answer), `correct` (whether the trace's answer was right), or both; `source` and `at` may stand too.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from limbeck.capture.jsonl import BadLineError, Row, at_line, read_lines, read_rows
from limbeck.capture.places import as_text
from limbeck.store.store import Store
from limbeck.types import Noun, Outcome, OutcomeSource, Task
from limbeck.verify.table import normalize

BATCH = 1000
"""Outcomes in one transaction."""

NAMES = ("trace_id", "request_id", "correlation")
KEYS = (*NAMES, "value", "correct", "source", "at")


class OutcomeResult(Noun):
    """`read` = `attached` + `already` + those `skipped`, by reason."""

    read: int
    attached: int
    already: int
    skipped: dict[str, int]


def attach_outcomes(
    store: Store,
    task: Task,
    path: str | Path,
    *,
    source: OutcomeSource = "downstream",
    progress: Callable[[int, int], None] | None = None,
) -> OutcomeResult:
    """Attach the outcomes of a JSON Lines or CSV file (plain or gzip) to traces of `task`.

    `source` holds for rows that name none. Rows about calls that were not recorded, or belong to
    another task, are skipped and counted. Raises ImportFileError with the line, and StoreError.
    """
    path = Path(path)
    waiting: list[Outcome] = []
    skipped: Counter[str] = Counter()
    read = attached = kept = 0
    try:
        for row in _rows(path):
            with at_line(row.line):
                outcome = _read(store, task, row.values, source)
            read += 1
            if isinstance(outcome, str):
                skipped[outcome] += 1
            else:
                waiting.append(outcome)
            if read % BATCH == 0:
                attached += store.attach(waiting)
                waiting, kept = [], read
            if progress is not None and read % 100 == 0:
                progress(row.position, read)
    except BadLineError as error:
        raise error.of_file(path, kept) from None
    attached += store.attach(waiting)
    return OutcomeResult(
        read=read,
        attached=attached,
        already=read - attached - skipped.total(),
        skipped=dict(sorted(skipped.items())),
    )


def _rows(path: Path) -> Iterator[Row]:
    first = next((text for _, text, _ in read_lines(path) if text.strip()), "")
    return read_rows(path) if first.lstrip().startswith(("{", "[")) or not first else _csv(path)


def _csv(path: Path) -> Iterator[Row]:
    position = 0

    def texts() -> Iterator[str]:
        nonlocal position
        for _, text, position in read_lines(path):  # noqa: B007  the closure reads `position`
            yield text

    table = csv.DictReader(texts(), strict=True)
    try:
        for values in table:
            if None in values:
                raise BadLineError("the row has more cells than the header", table.line_num)
            given = {key: value for key, value in values.items() if value not in (None, "")}
            yield Row(line=table.line_num, values=given, position=position)
    except csv.Error as error:
        raise BadLineError(f"broken CSV: {error}; correct that line", table.line_num) from None


def _read(
    store: Store, task: Task, values: Mapping[str, Any], source: OutcomeSource
) -> Outcome | str:
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise BadLineError(f"unknown key {unknown[0]!r}; wanted some of {', '.join(KEYS)}")
    names = {key: text for key in NAMES if (text := as_text(values.get(key)))}
    if len(names) != 1:
        raise BadLineError(
            f"the row names its trace by {sorted(names)!r}; "
            f"wanted exactly one of {', '.join(NAMES)}"
        )
    trace_id = store.find(**names)
    trace = None if trace_id is None else store.trace(trace_id)
    if trace is None or trace_id is None:
        return "no such trace"
    if trace.task != task.name:
        return f"the trace is of another task ({trace.task or 'none'})"
    value = as_text(values.get("value"))
    formed = None if value is None else normalize(task, value, trace.choices)
    if value is not None and formed is None:
        raise BadLineError(f"the value {value!r} has not the form of this task's answers")
    said = values.get("source", source)
    try:
        return Outcome(
            trace_id=trace_id,
            value=formed,
            correct=_truth_value(values.get("correct")),
            source=said,
            at=values.get("at"),
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "value"
        if key == "source":
            raise BadLineError(
                f"the source is {said!r}; wanted one of {', '.join(get_args(OutcomeSource))}"
            ) from None
        raise BadLineError(
            f"the key {key!r} is {values.get(key)!r}: {first['msg'].removeprefix('Value error, ')}"
        ) from None


def _truth_value(said: Any) -> bool | None:
    if said is None or isinstance(said, bool):
        return said
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    truth = words.get(str(said).strip().lower())
    if truth is None:
        raise BadLineError(f"the key 'correct' is {said!r}; wanted true or false")
    return truth

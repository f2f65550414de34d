"""Logs that exist already: rows of a file become traces, and their known answers outcomes.

The file is streamed, and every batch of rows is one transaction: a broken file leaves the whole
batches before the break, and importing it again adds nothing twice, because a trace is named by its
content and nothing of it depends on when it was imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from limbeck.capture.jsonl import BadLineError, Row, at_line, read_rows
from limbeck.capture.places import as_text, as_texts, fill, look_up
from limbeck.capture.reply import reread
from limbeck.errors import ConfigError
from limbeck.store.store import Store
from limbeck.types import ImportMap, Noun, Outcome, Provenance, Rationale, Task, Trace
from limbeck.verify.table import normalize

BATCH = 1000
"""Rows in one transaction."""

Split = Literal["train", "validation", "calibration", "test", "shifted"]


class ImportResult(Noun):
    """What became of the rows: `read` = `added` + `already` + those `skipped`, by reason.

    `outcomes` counts the new ones.
    """

    read: int
    added: int
    already: int
    outcomes: int
    skipped: dict[str, int]


def import_rows(
    store: Store,
    task: Task,
    path: str | Path,
    *,
    rows: ImportMap | None = None,
    split: Split | None = None,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Bring the rows of a JSON Lines file (plain or gzip) in as traces of `task`.

    `rows` replaces the mapping of the task file; `limit` is in rows; `progress` is called with the
    bytes of the file that have been read, and the rows.

    Raises ImportFileError with the line for what cannot be read, a key that is missing and a truth
    that is not in form; ConfigError for a mapping that contradicts itself; StoreError.
    """
    path = Path(path)
    rows = rows or task.rows
    if rows.reply is not None and rows.answer is not None:
        raise ConfigError(
            f"the mapping has both reply = {rows.reply!r} and answer = {rows.answer!r}; "
            f"wanted either the whole reply or its parts"
        )
    batch = _Batch(store)
    try:
        for row in read_rows(path):
            if limit is not None and batch.read >= limit:
                break
            with at_line(row.line):
                batch.take(_read(row, task, rows, path, split))
            if progress is not None and batch.read % 100 == 0:
                progress(row.position, batch.read)
    except BadLineError as error:
        raise error.of_file(path, batch.kept) from None
    batch.write()
    return ImportResult(
        read=batch.read,
        added=batch.added,
        already=batch.read - batch.added - batch.skipped.total(),
        outcomes=batch.outcomes,
        skipped=dict(sorted(batch.skipped.items())),
    )


class _Batch:
    """The rows that wait for the next transaction, and the count of all before them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._traces: list[Trace] = []
        self._outcomes: list[Outcome] = []
        self.read = self.kept = self.added = self.outcomes = 0
        self.skipped: Counter[str] = Counter()

    def take(self, read: tuple[Trace, str | None] | str) -> None:
        self.read += 1
        if isinstance(read, str):
            self.skipped[read] += 1
        else:
            trace, truth = read
            self._traces.append(trace)
            if truth is not None:
                self._outcomes.append(Outcome(trace_id=trace.id, value=truth, source="gold"))
        if self.read % BATCH == 0:
            self.write()

    def write(self) -> None:
        if self._traces:
            added, outcomes = self._store.record(self._traces, self._outcomes)
            self.added += added
            self.outcomes += outcomes
        self._traces, self._outcomes = [], []
        self.kept = self.read


def _read(
    row: Row, task: Task, rows: ImportMap, path: Path, split: Split | None
) -> tuple[Trace, str | None] | str:
    """The trace and the truth of a row, or the reason why it is passed over."""

    def text(place: str | None) -> str | None:
        return None if place is None else as_text(look_up(row.values, place))

    given = fill(rows.input, row.values, rows.choice_join)
    if given is None or not given.strip():
        return "the input is empty"
    choices: tuple[str, ...] = ()
    if rows.choices is not None:
        choices = as_texts(look_up(row.values, rows.choices), rows.choices)
    reply, rationale, answer = text(rows.reply), text(rows.rationale), text(rows.answer)
    truth = _truth(text(rows.truth), task, choices)
    mapped = rows.reply or rows.answer or rows.truth
    if mapped and reply is None and answer is None and truth is None:
        return "neither a reply nor an answer nor a truth"
    # A column of reasoning beside a whole reply is that reply's thinking block.
    thinking = rationale if reply is not None else None
    alone = rationale if reply is None and rationale and rationale.strip() else None
    trace = Trace(
        task=task.name,
        input=given,
        choices=choices,
        raw=reply,
        thinking=thinking,
        rationale=None if alone is None else Rationale(text=alone.strip()),
        answer=answer if answer is None else normalize(task, answer, choices) or answer,
        group=text(rows.group),
        split=split,
        provenance=Provenance(
            source="import",
            generator=text(rows.generator) or task.teacher.model or "unknown",
            skeleton=task.skeleton,
            file=path.name,
            # Without an id the line tells two equal rows apart, so that neither hides the other.
            row=text(rows.id) or f"line {row.line}",
            licence=text(rows.licence),
        ),
    )
    return reread(task, trace), truth


def _truth(written: str | None, task: Task, choices: tuple[str, ...]) -> str | None:
    if written is None:
        return None
    truth = normalize(task, written, choices)
    if truth is not None:
        return truth
    if task.answer.kind == "choice":
        wanted = f"one of {list(choices or task.answer.choices)!r}"
    else:
        wanted = f"a {task.answer.kind}"
    raise BadLineError(f"the truth is {written!r}; wanted {wanted}; correct the row or `truth`")

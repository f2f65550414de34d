"""Traces as one table: what the checks, the splits and the deduplication look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import polars as pl

from limbeck.capture.reply import read_reply, repaired
from limbeck.curate.calls import Call, Told, call_of, read_call, read_told, told_by
from limbeck.errors import DatasetError
from limbeck.store.records import Record
from limbeck.store.rows import read_rationale
from limbeck.types import Outcome, PostHoc, Rationale, Task, Trace
from limbeck.verify.table import judge, normalize

COLUMNS = pl.Schema(
    {
        "trace_id": pl.String(),
        "input": pl.String(),
        "choices": pl.List(pl.String()),
        "key": pl.String(),
        "group": pl.String(),
        "fixed_split": pl.String(),
        "early": pl.Boolean(),
        "rationale": pl.String(),
        "origin": pl.String(),
        "answer": pl.String(),
        "answer_raw": pl.String(),
        "repaired": pl.String(),
        "reply": pl.String(),
        "ran_on": pl.Boolean(),
        "status": pl.String(),
        "stop_reason": pl.String(),
        "outcome": pl.String(),
        "outcome_raw": pl.String(),
        "outcome_source": pl.String(),
        "correct": pl.Boolean(),
        "source": pl.String(),
        "generator": pl.String(),
        "simulated": pl.Boolean(),
        "licence": pl.String(),
    }
)
"""One row a trace, in the order of the ids.

`key` is the same for two traces that ask the same. `early` calls were recorded before those that may
judge. `answer` is normalized, null where it is not in
the task's form; `answer_raw` is as read, and `repaired` what was written where that had to be changed
to be in form. `outcome` is the normalized value of the outcome,
`correct` whether the answer is right by it; both are null where nobody knows.
"""

Progress = Callable[[str, int], None]
"""Called with what is being done and how many traces it is done for."""

Row = tuple[Any, ...]
"""The values of `COLUMNS`, in their order."""

_SHORT = 60
"""Characters of an answer that is worth remembering."""

NO_RATIONALES: Mapping[str, PostHoc] = MappingProxyType({})


def read_frame(
    traces: Iterable[Trace],
    truths: Mapping[str, Outcome],
    task: Task,
    progress: Progress | None = None,
    post_hoc: Mapping[str, PostHoc] = NO_RATIONALES,
) -> pl.DataFrame:
    """The traces as a table with `COLUMNS`; the same trace twice is one row.

    A trace with `raw` is read again by today's task file, so that a corrected one takes effect. One
    without a rationale gets that of `post_hoc`, unless that ended on another answer.
    """
    rows: dict[str, Row] = {}
    answers = _Answers(task)
    for trace in traces:
        if trace.id not in rows:
            asked = post_hoc.get(trace.id)
            told = told_by(truths.get(trace.id))
            rows[trace.id] = _row(trace.id, call_of(trace), told, answers, asked)
            if progress is not None and len(rows) % 1000 == 0:
                progress("reading traces", len(rows))
    frame = _table(list(rows.values()))
    order = frame.select("trace_id", places_of(frame)).with_row_index("at")
    return frame[order.sort("place", "trace_id")["at"]]


def read_records(records: Iterable[Record], task: Task) -> pl.DataFrame:
    """Stored traces as a table with `COLUMNS`, in their order.

    Raises DatasetError where the content of one is damaged.
    """
    rows = []
    answers = _Answers(task)
    for record in records:
        try:
            call, told = read_call(record.content), read_told(record.outcomes)
            asked = None if record.rationale is None else read_rationale(record.rationale)
        except ValueError:
            raise DatasetError(
                f"the trace {record.trace_id!r}, or what hangs on it, is damaged; nothing was "
                f"curated; see what else is with: limbeck store verify"
            ) from None
        rows.append(_row(record.trace_id, call, told, answers, asked))
    return _table(rows)


def places_of(frame: pl.DataFrame) -> pl.Series:
    """Where each row stands: by what was asked and said, so that the same calls recorded at another
    time make the same dataset; as a hash, so that neighbours have nothing in common."""
    columns = [frame[name].fill_null("") for name in ("key", "reply", "rationale", "answer")]
    texts = pl.select(pl.concat_str(columns, separator="\x1f")).to_series().to_list()
    return pl.Series("place", [hash64(text) for text in texts], dtype=pl.UInt64)


def hash64(text: str) -> int:
    """64 bits of a hash of `text`, the same on every machine."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _table(rows: Sequence[Row]) -> pl.DataFrame:
    # Column by column: row by row, polars would look at the type of every value.
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    return pl.DataFrame(
        [
            _column(name, kind, values)
            for (name, kind), values in zip(COLUMNS.items(), columns, strict=True)
        ]
    )


def _column(name: str, kind: pl.DataType | type[pl.DataType], values: Sequence[Any]) -> pl.Series:
    if kind == pl.List:
        return lists(name, values)
    try:
        return pl.Series(name, values, dtype=kind)
    except UnicodeEncodeError:
        return pl.Series(name, [_encodable(value) for value in values], dtype=kind)


def lists(name: str, values: Sequence[Sequence[str]]) -> pl.Series:
    """A column of lists of texts; polars alone would make a series of each list first."""
    texts = _column("text", pl.String, [text for texts in values for text in texts])
    rows = [row for row, texts in enumerate(values) for _ in texts]
    owners = pl.Series("row", rows, dtype=pl.UInt32)
    given = pl.DataFrame([owners, texts]).group_by("row", maintain_order=True).agg("text")
    every = pl.DataFrame({"row": pl.Series(range(len(values)), dtype=pl.UInt32)})
    found = every.join(given, on="row", how="left", maintain_order="left")["text"]
    return found.fill_null([]).alias(name)


def input_key(text: str, choices: Iterable[str]) -> str:
    """The same text for inputs that differ only in case, spaces or the order of their choices."""
    return "\x1f".join([_fold(text), *sorted(_fold(choice) for choice in choices)])


def short_id(column: str) -> pl.Expr:
    """The beginning of the id of a trace, as much as a person needs to find it again."""
    return pl.col(column).str.slice(0, 19) + pl.lit("…")


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class _Answers:
    """What the answers of a batch are in form, and which say the same: the short ones come again and
    again, and are looked at once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._forms: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self._same: dict[tuple[str, str, tuple[str, ...]], bool] = {}

    def form(self, text: str, choices: tuple[str, ...]) -> str | None:
        if len(text) > _SHORT:
            return normalize(self.task, text, choices)
        key = text, choices
        if key not in self._forms:
            self._forms[key] = normalize(self.task, text, choices)
        return self._forms[key]

    def same(self, answer: str, truth: str, choices: tuple[str, ...]) -> bool:
        key = answer, truth, choices
        if key not in self._same:
            self._same[key] = judge(self.task, answer, truth, choices).score >= 0.5
        return self._same[key]


def _is_early(task: Task, call: Call) -> bool:
    since, at = task.splits.judge_since, call.created_at
    if since is None or at is None:
        return False
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) < since


def _row(name: str, call: Call, told: Told | None, answers: _Answers, asked: PostHoc | None) -> Row:
    task = answers.task
    rationale, written, ran_on = call.rationale, call.answer, False
    changed = None
    if call.raw is not None:
        reading = read_reply(task, call.raw, call.thinking, call.choices, call.blocks)
        rationale, written, ran_on = reading.rationale, reading.answer, reading.ran_on
        changed = reading.repaired
    choices = call.choices or task.answer.choices
    answer = None if written is None else answers.form(written, call.choices)
    if call.raw is None and written is not None:
        changed = repaired(task, written, answer)
    value = told.value if told is not None else None
    truth = None if value is None else answers.form(value, call.choices)
    if (rationale is None or not rationale.text.strip()) and asked is not None:
        rationale = _afterwards(task, call, written, asked)
    chain = rationale.text.strip() if rationale is not None else ""
    # In the order of COLUMNS: by name it would take twice as long.
    return (
        name,
        call.input,
        choices,
        input_key(call.input, call.choices),
        call.group,
        call.split,
        _is_early(task, call),
        chain or None,
        rationale.origin if rationale is not None and chain else None,
        answer,
        written,
        changed,
        call.raw,
        ran_on,
        call.status,
        call.stop_reason,
        truth,
        value,
        told.source if told is not None else None,
        _is_correct(answers, call, answer, truth, told),
        call.source,
        call.generator,
        call.simulated,
        call.licence,
    )


def _afterwards(task: Task, call: Call, answer: str | None, asked: PostHoc) -> Rationale | None:
    """The rationale that was asked for afterwards; one that argues for another answer is no reason for
    this one."""
    if asked.answer is not None:
        same = answer is not None and judge(task, asked.answer, answer, call.choices).score >= 0.5
        if not same:
            return None
    return Rationale(text=asked.rationale, origin="post_hoc")


def _is_correct(
    answers: _Answers, call: Call, answer: str | None, truth: str | None, told: Told | None
) -> bool | None:
    if told is None:
        return None
    if truth is not None:
        if answer is None or answer == truth:
            return answer == truth
        return answers.same(answer, truth, call.choices)
    # A value that cannot be read says nothing, unless the outcome also says who was right.
    return told.correct


def _encodable(text: str | None) -> str | None:
    """Half a surrogate pair is legal in JSON and illegal in UTF-8, which Parquet is written in."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")

"""Traces as one table: what the checks, the splits and the deduplication look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import polars as pl

from limbeck.capture.reply import read_reply
from limbeck.types import Outcome, PostHoc, Rationale, Task, Trace, content_hash
from limbeck.verify.table import judge, normalize

COLUMNS = pl.Schema(
    {
        "trace_id": pl.String(),
        "input": pl.String(),
        "choices": pl.List(pl.String()),
        "key": pl.String(),
        "group": pl.String(),
        "fixed_split": pl.String(),
        "rationale": pl.String(),
        "origin": pl.String(),
        "answer": pl.String(),
        "answer_raw": pl.String(),
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

`key` is the same for two traces that ask the same. `answer` is normalized, null where it is not in
the task's form; `answer_raw` is as read. `outcome` is the normalized value of the outcome,
`correct` whether the answer is right by it; both are null where nobody knows.
"""

Progress = Callable[[str, int], None]
"""Called with what is being done and how many traces it is done for."""

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
    rows: dict[str, dict[str, Any]] = {}
    for trace in traces:
        if trace.id not in rows:
            rows[trace.id] = _row(trace, truths.get(trace.id), task, post_hoc.get(trace.id))
            if progress is not None and len(rows) % 1000 == 0:
                progress("reading traces", len(rows))
    return pl.DataFrame(sorted(rows.values(), key=_place), schema=COLUMNS, orient="row")


def _place(row: dict[str, Any]) -> tuple[str, str]:
    """Where a row stands: by what was asked and said, so that the same calls recorded at another time
    make the same dataset; as a hash, so that neighbours have nothing in common."""
    return content_hash([row["key"], row["reply"], row["rationale"], row["answer"]]), row[
        "trace_id"
    ]


def input_key(text: str, choices: Iterable[str]) -> str:
    """The same text for inputs that differ only in case, spaces or the order of their choices."""
    return "\x1f".join([_fold(text), *sorted(_fold(choice) for choice in choices)])


def short_id(column: str) -> pl.Expr:
    """The beginning of the id of a trace, as much as a person needs to find it again."""
    return pl.col(column).str.slice(0, 19) + pl.lit("…")


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _row(
    trace: Trace, outcome: Outcome | None, task: Task, asked: PostHoc | None
) -> dict[str, Any]:
    rationale, written, ran_on = trace.rationale, trace.answer, False
    if trace.raw is not None:
        reading = read_reply(task, trace.raw, trace.thinking, trace.choices, trace.blocks)
        rationale, written, ran_on = reading.rationale, reading.answer, reading.ran_on
    choices = trace.choices or task.answer.choices
    answer = None if written is None else normalize(task, written, trace.choices)
    value = outcome.value if outcome is not None else None
    truth = None if value is None else normalize(task, value, trace.choices)
    if (rationale is None or not rationale.text.strip()) and asked is not None:
        rationale = _afterwards(task, trace, written, asked)
    chain = rationale.text.strip() if rationale is not None else ""
    row = {
        "trace_id": trace.id,
        "input": trace.input,
        "choices": list(choices),
        "key": input_key(trace.input, trace.choices),
        "group": trace.group,
        "fixed_split": trace.split,
        "rationale": chain or None,
        "origin": rationale.origin if rationale is not None and chain else None,
        "answer": answer,
        "answer_raw": written,
        "reply": trace.raw,
        "ran_on": ran_on,
        "status": trace.status,
        "stop_reason": trace.stop_reason,
        "outcome": truth,
        "outcome_raw": value,
        "outcome_source": outcome.source if outcome is not None else None,
        "correct": _is_correct(task, trace, answer, truth, outcome),
        "source": trace.provenance.source,
        "generator": trace.provenance.generator,
        "simulated": trace.provenance.simulated,
        "licence": trace.provenance.licence,
    }
    return {name: _encodable(value) for name, value in row.items()}


def _afterwards(task: Task, trace: Trace, answer: str | None, asked: PostHoc) -> Rationale | None:
    """The rationale that was asked for afterwards; one that argues for another answer is no reason for
    this one."""
    if asked.answer is not None:
        same = answer is not None and judge(task, asked.answer, answer, trace.choices).score >= 0.5
        if not same:
            return None
    return Rationale(text=asked.rationale, origin="post_hoc")


def _is_correct(
    task: Task, trace: Trace, answer: str | None, truth: str | None, outcome: Outcome | None
) -> bool | None:
    if outcome is None:
        return None
    if truth is not None:
        return answer is not None and judge(task, answer, truth, trace.choices).score >= 0.5
    # A value that cannot be read says nothing, unless the outcome also says who was right.
    return outcome.correct


def _encodable(value: Any) -> Any:
    """Half a surrogate pair is legal in JSON and illegal in UTF-8, which Parquet is written in."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value

"""The calls of one policy, read from the store page by page into a table."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from limbeck.capture.reply import reread
from limbeck.store.records import Record, best_outcome
from limbeck.store.rows import read_outcome, read_trace
from limbeck.types import Outcome, Task, Trace
from limbeck.verify.table import judge

COLUMNS = pl.Schema(
    {
        "at": pl.Datetime("us", "UTC"),
        "student": pl.Boolean(),
        "local": pl.Boolean(),
        "audit": pl.Boolean(),
        "wrong": pl.Boolean(),
        "outcome_at": pl.Datetime("us", "UTC"),
        "source": pl.String(),
        "confidence": pl.Float64(),
        "answer": pl.String(),
        "words": pl.Int64(),
        "cost_usd": pl.Float64(),
    }
)
"""`student` says whose reply the trace is; a call is `local` where the student's reply went out.
`wrong` is null where nobody has said yet. The teacher's reply to an audit is a row that is `local` and
not `student`."""


@dataclass
class Calls:
    """The calls of one policy, and a sample of their inputs."""

    rows: pl.DataFrame
    texts: list[tuple[datetime | None, str]] = field(default_factory=list)

    @property
    def asked(self) -> pl.DataFrame:
        """One row a call: the teacher's replies to audits are left out."""
        return self.rows.filter(pl.col("student") | ~pl.col("local"))

    @property
    def answered(self) -> pl.DataFrame:
        """The calls that the student answered."""
        return self.rows.filter(pl.col("student") & pl.col("local"))

    @property
    def audited(self) -> pl.DataFrame:
        """Those of them that were drawn to be checked and were, in the order in which it became known.

        Who looks in between then sees a beginning of what is seen later.
        """
        checked = self.answered.filter(pl.col("audit") & pl.col("wrong").is_not_null())
        return checked.sort("outcome_at", nulls_last=False, maintain_order=True)

    def since(self, start: datetime) -> Calls:
        """Those from `start` on; calls without a time are taken for recent."""
        recent = pl.col("at").is_null() | (pl.col("at") >= start)
        texts = [(at, text) for at, text in self.texts if at is None or at >= start]
        return Calls(self.rows.filter(recent), texts)


def read_calls(
    pages: Iterable[list[Record]],
    task: Task,
    policy: str,
    *,
    sampled: int,
    progress: Callable[[int], None] | None = None,
) -> Calls:
    """The calls that the policy of that id decided; `pages` are those of `Store.records`.

    Of the inputs it keeps a sample of 8 times `sampled`, evenly over time.
    """
    tables, texts = [pl.DataFrame(schema=COLUMNS)], _Reservoir(8 * sampled)
    for page in pages:
        rows = []
        for record in page:
            # Most traces of a store are older than the policy: they are left unread.
            if policy not in record.content:
                continue
            trace = read_trace(record.content)
            if trace.routing is None or trace.routing.policy != policy:
                continue
            outcome = best_outcome([read_outcome(one) for one in record.outcomes])
            row = _row(trace, outcome, task)
            rows.append(row)
            if row["student"] or not row["local"]:
                texts.add((row["at"], trace.input))
        tables.append(pl.DataFrame(rows, schema=COLUMNS))
        if progress is not None:
            progress(len(page))
    return Calls(pl.concat(tables), texts.kept)


def _row(trace: Trace, outcome: Outcome | None, task: Task) -> dict[str, Any]:
    routing = trace.routing
    assert routing is not None
    student = trace.provenance.source == "student"
    wrong = None
    if student and routing.local and outcome is not None:
        wrong = not _right(reread(task, trace), outcome, task)
    return {
        "at": _utc(trace.created_at),
        "student": student,
        "local": routing.local,
        "audit": routing.audit,
        "wrong": wrong,
        "outcome_at": _utc(outcome.at) if outcome is not None else None,
        "source": outcome.source if outcome is not None else None,
        "confidence": routing.confidence,
        "answer": routing.answer,
        "words": len(trace.input.split()),
        "cost_usd": trace.cost_usd,
    }


def _right(trace: Trace, outcome: Outcome, task: Task) -> bool:
    if outcome.value is None:
        return bool(outcome.correct)
    if trace.answer is None:
        return False
    return judge(task, trace.answer, outcome.value, trace.choices).score == 1.0


def _utc(at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


class _Reservoir:
    """A sample of fixed size in which everything that came has the same chance to be."""

    def __init__(self, size: int) -> None:
        self.kept: list[tuple[datetime | None, str]] = []
        self._size = size
        self._seen = 0
        self._random = random.Random(0)

    def add(self, one: tuple[datetime | None, str]) -> None:
        self._seen += 1
        if len(self.kept) < self._size:
            self.kept.append(one)
            return
        place = self._random.randrange(self._seen)
        if place < self._size:
            self.kept[place] = one

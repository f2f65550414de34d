"""The traces of a task with all that hangs on them, as the text that the store keeps, page by page.

Whoever reads millions of them turns the text into nouns where there are processors for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.naming import with_trace
from limbeck.store.rows import read_outcome
from limbeck.types import TRUST, Outcome


class Record(NamedTuple):
    """A trace as it is stored: its id and content, its outcomes in the order in which they came, and
    the rationale that was last asked for afterwards."""

    trace_id: str
    content: str
    outcomes: tuple[str, ...] = ()
    rationale: str | None = None


def best_outcome(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The outcome to believe of those of one trace, in the order in which they were attached: the most
    trusted source, then the latest `at`, then the last. One without a time counts as the earliest."""
    best: Outcome | None = None
    for outcome in outcomes:
        if best is None or _believed(outcome) >= _believed(best):
            best = outcome
    return best


def read_outcomes(contents: Iterable[str]) -> Outcome | None:
    """The outcome to believe; raises ValueError if a content is not that of an outcome."""
    return best_outcome(read_outcome(content) for content in contents)


def page(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], after: int, size: int
) -> tuple[list[Record], int]:
    """The first `size` traces behind the position `after`, and the position of the last of them."""
    traces = schema.traces.c
    query = (
        sa.select(traces.position, traces.id, traces.content)
        .where(wanted, traces.position > after)
        .order_by(traces.position)
        .limit(size)
    )
    rows = connection.execute(query).all()
    if not rows:
        return [], after
    last = rows[-1][0]
    span = sa.and_(wanted, traces.position > after, traces.position <= last)
    outcomes: dict[str, list[str]] = {}
    for trace_id, content in _hanging(connection, schema.outcomes, span):
        outcomes.setdefault(trace_id, []).append(content)
    rationales = dict(_hanging(connection, schema.rationales, span))
    made = [
        Record(name, content, tuple(outcomes.get(name, ())), rationales.get(name))
        for _, name, content in rows
    ]
    return made, last


def _hanging(
    connection: sa.Connection, table: sa.Table, span: sa.ColumnElement[bool]
) -> list[tuple[str, str]]:
    query = (
        sa.select(table.c.trace_id, table.c.content)
        .select_from(with_trace(table))
        .where(span)
        .order_by(table.c.position)
    )
    return [(trace_id, content) for trace_id, content in connection.execute(query)]


def _believed(outcome: Outcome) -> tuple[int, datetime]:
    at = outcome.at or datetime.min.replace(tzinfo=UTC)
    return TRUST[outcome.source], at if at.tzinfo else at.replace(tzinfo=UTC)

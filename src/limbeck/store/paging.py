"""The records of a task, page by page.

Apart from `limbeck.store.records`, so that who only reads what a record says needs no database.
"""

from __future__ import annotations

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.naming import with_trace
from limbeck.store.records import Record


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

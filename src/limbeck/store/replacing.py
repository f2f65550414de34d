"""A trace gets other content, and with it another name; what hangs on it moves along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.insert import insert
from limbeck.store.naming import Arrival, add, positions, remove, sort_in
from limbeck.store.rows import (
    outcome_row,
    rationale_row,
    read_outcome,
    read_rationale,
    trace_row,
)
from limbeck.types import Outcome, PostHoc, Trace


def replace(connection: sa.Connection, old_id: str, trace: Trace) -> bool:
    """Put `trace` in the place of the one of that id; False where there is none, or it is the same.

    It keeps the time at which the old one was recorded, and is still found by the old id.
    """
    sort_in(connection)
    traces = schema.traces.c
    found = connection.execute(
        sa.select(traces.position, traces.id, traces.request_id, traces.recorded_at).where(
            traces.position.in_(positions("id", [old_id]))
        )
    ).one_or_none()
    if found is None or trace.id == old_id:
        return False
    *names, recorded_at = found
    add(connection, [trace_row(trace, recorded_at)])

    def outcome(content: str) -> Outcome:
        return read_outcome(content).model_copy(update={"trace_id": trace.id})

    def rationale(content: str) -> PostHoc:
        return read_rationale(content).model_copy(update={"trace_id": trace.id})

    _move(connection, schema.outcomes, old_id, lambda text, at: outcome_row(outcome(text), at))
    _move(
        connection, schema.rationales, old_id, lambda text, at: rationale_row(rationale(text), at)
    )
    former = schema.former_ids
    connection.execute(
        sa.update(former).where(former.c.trace_id == old_id).values(trace_id=trace.id)
    )
    remove(connection, [Arrival(*names)])
    insert(connection, former, [{"id": old_id, "trace_id": trace.id}])
    return True


def _move(
    connection: sa.Connection,
    table: sa.Table,
    old_id: str,
    renamed: Callable[[str, str], dict[str, Any]],
) -> None:
    query = (
        sa.select(table.c.content, table.c.recorded_at)
        .where(table.c.trace_id == old_id)
        .order_by(table.c.position)
    )
    rows = [renamed(content, at) for content, at in connection.execute(query).all()]
    connection.execute(sa.delete(table).where(table.c.trace_id == old_id))
    insert(connection, table, rows)

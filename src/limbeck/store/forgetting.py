"""Traces that must go, with everything that only they gave a reason to keep."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import model_validator

from limbeck.store import schema
from limbeck.store.naming import Arrival, positions, remove, sort_in
from limbeck.store.rows import as_text, plain
from limbeck.types import Noun

CHUNK = 200
"""Traces in one transaction: a gateway that writes meanwhile waits for no more."""


class Scope(Noun):
    """Which traces: those that meet all of the given conditions.

    `before` is compared with the time at which the trace came into the store. `untasked` means the
    calls of no task. `trace_id` may be an id that the trace had before.
    """

    task: str | None = None
    untasked: bool = False
    before: datetime | None = None
    subject: str | None = None
    trace_id: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Scope:
        if self == Scope.model_construct():
            raise ValueError("no condition is given; wanted at least one")
        if self.task is not None and self.untasked:
            raise ValueError("both a task and `untasked` are given; wanted one of them")
        return self


class Forgotten(Noun):
    """How much was deleted, or would be. `early` are outcomes that waited for their trace; `blobs`
    are not counted beforehand."""

    traces: int = 0
    outcomes: int = 0
    rationales: int = 0
    early: int = 0
    blobs: int = 0

    def __add__(self, other: Forgotten) -> Forgotten:
        names = Forgotten.model_fields
        return Forgotten(**{name: getattr(self, name) + getattr(other, name) for name in names})


def count(connection: sa.Connection, scope: Scope) -> Forgotten:
    """What `forget` would delete, but for the blobs."""
    meant = _meant(scope)
    ids = sa.select(schema.traces.c.id).where(meant)

    def number(table: sa.FromClause, condition: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(condition)
        return int(connection.execute(query).scalar_one())

    early = _early_meant(scope)
    return Forgotten(
        traces=number(schema.traces, meant),
        outcomes=number(schema.outcomes, schema.outcomes.c.trace_id.in_(ids)),
        rationales=number(schema.rationales, schema.rationales.c.trace_id.in_(ids)),
        early=0 if early is None else number(schema.early_outcomes, early),
    )


def delete_some(
    connection: sa.Connection, scope: Scope, after: int
) -> tuple[Forgotten, int | None]:
    """Delete the next CHUNK traces past the position `after`.

    Returns what went, and the position of the last; None where none is left.
    """
    traces = schema.traces.c
    columns = (traces.position, traces.id, traces.request_id, traces.correlation)
    query = (
        sa.select(*columns)
        .where(_meant(scope), traces.position > after)
        .order_by(traces.position)
        .limit(CHUNK)
    )
    rows = connection.execute(query).all()
    if not rows:
        return Forgotten(), None
    ids = [row.id for row in rows]
    sort_in(connection)
    former = sa.select(schema.former_ids.c.id).where(schema.former_ids.c.trace_id.in_(ids))
    names = {
        "trace_id": ids + list(connection.execute(former).scalars()),
        "request_id": [row.request_id for row in rows if row.request_id is not None],
        "correlation": [row.correlation for row in rows if row.correlation is not None],
    }
    gone = Forgotten(
        outcomes=_delete(connection, schema.outcomes, "trace_id", ids),
        rationales=_delete(connection, schema.rationales, "trace_id", ids),
        early=sum(_delete_early(connection, key, names[key]) for key in names),
        traces=_delete_traces(connection, [Arrival(*row[:3]) for row in rows]),
    )
    return gone, rows[-1].position


def delete_early(connection: sa.Connection, scope: Scope) -> Forgotten:
    """Delete the waiting outcomes that the scope means by itself."""
    early = _early_meant(scope)
    if early is None:
        return Forgotten()
    gone = connection.execute(sa.delete(schema.early_outcomes).where(early))
    return Forgotten(early=gone.rowcount)


def _meant(scope: Scope) -> sa.ColumnElement[bool]:
    traces, former = schema.traces.c, schema.former_ids.c
    conditions: list[sa.ColumnElement[bool]] = []
    if scope.task is not None:
        conditions.append(traces.task == scope.task)
    if scope.untasked:
        conditions.append(traces.task.is_(None))
    if scope.before is not None:
        conditions.append(traces.recorded_at < as_text(scope.before))
    if scope.subject is not None:
        conditions.append(traces.subject == plain(scope.subject))
    if scope.trace_id is not None:
        renamed = sa.select(former.trace_id).where(former.id == scope.trace_id)
        ids = [scope.trace_id]
        named = sa.select(schema.trace_ids.c.position).where(schema.trace_ids.c.id.in_(renamed))
        conditions.append(
            sa.or_(traces.position.in_(positions("id", ids)), traces.position.in_(named))
        )
    return sa.and_(*conditions)


def _early_meant(scope: Scope) -> sa.ColumnElement[bool] | None:
    """Nobody knows whose the outcome of an unknown call is, so that it goes by task and age only."""
    early = schema.early_outcomes.c
    if scope.subject is not None or scope.trace_id is not None or scope.untasked:
        return None
    conditions: list[sa.ColumnElement[bool]] = []
    if scope.task is not None:
        conditions.append(early.task == scope.task)
    if scope.before is not None:
        conditions.append(early.recorded_at < as_text(scope.before))
    return sa.and_(*conditions)


def _delete_traces(connection: sa.Connection, gone: list[Arrival]) -> int:
    _delete(connection, schema.former_ids, "trace_id", [arrival.id for arrival in gone])
    return remove(connection, gone)


def _delete_early(connection: sa.Connection, key: str, names: list[Any]) -> int:
    early = schema.early_outcomes.c
    gone = sa.delete(schema.early_outcomes).where(early.key == key, early.name.in_(names))
    return connection.execute(gone).rowcount if names else 0


def _delete(connection: sa.Connection, table: sa.Table, column: str, values: list[str]) -> int:
    gone = connection.execute(sa.delete(table).where(table.c[column].in_(values)))
    return gone.rowcount

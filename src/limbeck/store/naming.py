"""How traces are found by their names: new names wait a moment, and are sorted in by the hundred.

Names are random, so that each of them changes another page of its index, and a commit writes every
page that it changed, whole: in a large store its two names would cost a call more than its trace. So a
new trace leaves its names in `arrivals`, one behind the other. Sorted, many of them share a page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.insert import Row, insert, statements

NAMES: dict[str, sa.Table] = {"id": schema.trace_ids, "request_id": schema.request_ids}
"""What a trace is called, and where such names are sorted in."""

SLICE = 500
"""Names that are sorted in at a time: a gateway that writes meanwhile waits for no more."""

Run = Callable[[str, tuple[Any, ...]], Any]
"""Runs a statement of the driver's own with its values, and gives what has the `lastrowid`."""
Transaction = Callable[[], AbstractContextManager[sa.Connection]]
T = TypeVar("T")


class Arrival(NamedTuple):
    """The names of a new trace."""

    position: int
    id: str
    request_id: str | None


def positions(name: str, values: Collection[str]) -> sa.CompoundSelect[tuple[int]]:
    """The query for the positions of the traces of those names, sorted in or not."""
    sorted_in, waiting = NAMES[name].c, schema.arrivals.c
    return sa.union_all(
        sa.select(sorted_in.position).where(sorted_in[name].in_(values)),
        sa.select(waiting.position).where(waiting[name].in_(values)),
    )


def with_trace(table: sa.Table) -> sa.Join:
    """`table`, whose rows hang on traces, with the trace of each: its name has been sorted in."""
    ids, traces = schema.trace_ids.c, schema.traces
    named = table.join(schema.trace_ids, ids.id == table.c.trace_id)
    return named.join(traces, traces.c.position == ids.position)


def add(connection: sa.Connection, rows: Sequence[Row]) -> int:
    """Add traces with their names, and sort in all that wait. Returns how many were not there."""
    sort_in(connection)
    ids = schema.trace_ids.c.id
    new = 0
    for some in _slices(rows):
        query = sa.select(ids).where(ids.in_([row["id"] for row in some]))
        known = set(connection.execute(query).scalars())
        fresh = [row for row in some if row["id"] not in known]
        style = connection.dialect.paramstyle
        arrived: list[Arrival] = []
        for statement in statements(style, "traces", fresh, " RETURNING position, id, request_id"):
            arrived += [Arrival(*row) for row in connection.exec_driver_sql(*statement)]
        new += _sort(connection, arrived)
    return new


def append(run: Run, rows: Sequence[Row]) -> None:
    """Add traces whose names wait, by way of `run`; for SQLite only.

    One that is there already is there twice until its name is sorted in.
    """
    last = 0
    for statement in statements("qmark", "traces", rows):
        last = run(*statement).lastrowid
    # One statement after the other under one lock: the positions follow on one another.
    first = last - len(rows) + 1
    waiting = [
        {"position": position, "id": row["id"], "request_id": row["request_id"]}
        for position, row in enumerate(rows, first)
    ]
    for statement in statements("qmark", "arrivals", waiting):
        run(*statement)


def sort_in(connection: sa.Connection) -> None:
    """Sort in all that wait, in the caller's transaction."""
    waiting = _waiting(connection)
    if waiting:
        _sort(connection, waiting)
        last = max(arrival.position for arrival in waiting)
        table = schema.arrivals
        connection.execute(sa.delete(table).where(table.c.position <= last))


def sort_in_slices(reading: Transaction, writing: Transaction) -> int:
    """Sort in what waits now, a slice in each transaction. Returns for how many traces.

    Where it is broken off, what was sorted in waits on, and changes nothing the next time.
    """
    with reading() as connection:
        waiting = _waiting(connection)
    table = schema.arrivals
    for some in _slices(waiting):
        these = table.c.position.in_([arrival.position for arrival in some])
        with writing() as connection:
            # Another may have sorted them in since, and deleted their traces.
            there = connection.execute(sa.select(table).where(these)).all()
            _sort(connection, [Arrival(*row) for row in there])
    for some in _slices(sorted(waiting)):
        these = table.c.position.in_([arrival.position for arrival in some])
        with writing() as connection:
            connection.execute(sa.delete(table).where(these))
    return len(waiting)


def remove(connection: sa.Connection, gone: Sequence[Arrival]) -> int:
    """Delete traces and their names, which have been sorted in. Returns how many."""
    places = [arrival.position for arrival in gone]
    for table in (schema.trace_ids, schema.request_ids):
        name = table.primary_key.columns[0]
        values = [value for one in gone if (value := one._asdict()[name.name]) is not None]
        connection.execute(sa.delete(table).where(name.in_(values), table.c.position.in_(places)))
    traces = schema.traces
    return connection.execute(sa.delete(traces).where(traces.c.position.in_(places))).rowcount


def _waiting(connection: sa.Connection) -> list[Arrival]:
    table = schema.arrivals
    rows = connection.execute(sa.select(table).order_by(table.c.id, table.c.position))
    return [Arrival(*row) for row in rows]


def _sort(connection: sa.Connection, some: Sequence[Arrival]) -> int:
    """Sort names in; how many ids were new. A trace whose id another has already goes."""
    by_id = sorted(some, key=lambda arrival: (arrival.id, arrival.position))
    new = insert(
        connection, schema.trace_ids, [{"id": one.id, "position": one.position} for one in by_id]
    )
    if new < len(by_id):
        double = _doubles(connection, by_id)
        traces = schema.traces
        for gone in _slices(sorted(double)):
            connection.execute(sa.delete(traces).where(traces.c.position.in_(gone)))
        some = [arrival for arrival in some if arrival.position not in double]
    by_request = sorted(
        (one.request_id, one.position) for one in some if one.request_id is not None
    )
    insert(
        connection,
        schema.request_ids,
        [{"request_id": name, "position": position} for name, position in by_request],
    )
    return new


def _doubles(connection: sa.Connection, some: Sequence[Arrival]) -> set[int]:
    ids = schema.trace_ids.c
    found: set[int] = set()
    for piece in _slices(some):
        query = sa.select(ids.id, ids.position).where(ids.id.in_([one.id for one in piece]))
        first = {row.id: row.position for row in connection.execute(query)}
        found.update(one.position for one in piece if first[one.id] != one.position)
    return found


def _slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), SLICE):
        yield values[start : start + SLICE]

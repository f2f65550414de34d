"""What many traces share is kept once, and goes when no trace refers to it any more."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.insert import insert

CHUNK = 500
"""Names in one query; SQLite takes a limited number of bound values."""

FRESH = timedelta(minutes=30)
"""A blob that is kept again later than this after the last time is marked as in use."""

GRACE = timedelta(hours=1)
"""A blob younger than this is never deleted: a trace that refers to it may be on its way. A gateway
sends a blob again after ten minutes, which together with FRESH stays within."""

_NAMED = re.compile(rb'"blob":\s*"(sha256:[0-9a-f]{64})"')


def keep(connection: sa.Connection, blobs: Mapping[str, bytes], now: str) -> None:
    """Keep what is not there yet, and mark the rest as in use.

    The traces that refer to them are written before, in the same transaction: on PostgreSQL that
    keeps a deletion from taking a blob in between.
    """
    if not blobs:
        return
    table = schema.blobs.c
    there: dict[str, str] = {}
    for some in chunks(list(blobs)):
        query = _looked_up(len(some), connection.dialect.paramstyle)
        there.update((name, at) for name, at in connection.exec_driver_sql(query, tuple(some)))
    insert(
        connection,
        schema.blobs,
        [
            {"hash": name, "data": data, "recorded_at": now}
            for name, data in blobs.items()
            if name not in there
        ],
    )
    stale = (datetime.fromisoformat(now) - FRESH).isoformat()
    for some in chunks([name for name, at in there.items() if at < stale]):
        connection.execute(
            sa.update(schema.blobs).where(table.hash.in_(some)).values(recorded_at=now)
        )


@cache
def _looked_up(names: int, paramstyle: str) -> str:
    # As text, because composing it takes longer than the database does: this is on every call's way.
    marks = ", ".join(["?" if paramstyle == "qmark" else "%s"] * names)
    return f"SELECT hash, recorded_at FROM blobs WHERE hash IN ({marks})"


def unreferred(connection: sa.Connection, before: str) -> set[str]:
    """The blobs kept before that time to which no trace refers: not as its skeleton, not as its
    context, and not within its context."""
    blobs, traces = schema.blobs.c, schema.traces.c
    old = sa.except_(
        sa.select(blobs.hash).where(blobs.recorded_at < before),
        sa.select(traces.skeleton).where(traces.skeleton.is_not(None)),
        sa.select(traces.context).where(traces.context.is_not(None)),
    )
    found = set(connection.execute(old).scalars())
    if found:
        for _, name in named_in_contexts(connection):
            found.discard(name)
    return found


def named_in_contexts(connection: sa.Connection, after: int = 0) -> Iterator[tuple[str, str]]:
    """Each context blob of a trace at a position past `after`, with each blob that it names."""
    blobs, traces = schema.blobs.c, schema.traces.c
    of_traces = sa.select(traces.context).where(
        traces.context.is_not(None), traces.position > after
    )
    query = sa.select(blobs.hash, blobs.data).where(blobs.hash.in_(of_traces))
    for context, data in connection.execute(query.execution_options(yield_per=100)):
        for name in _NAMED.findall(bytes(data)):
            yield context, name.decode()


def delete(connection: sa.Connection, names: Collection[str], *, seen: int, before: str) -> int:
    """Delete those of `names` that no trace past the position `seen` refers to. How many."""
    traces, blobs = schema.traces.c, schema.blobs.c
    newer = sa.select(traces.skeleton, traces.context).where(traces.position > seen)
    used = {name for row in connection.execute(newer) for name in row}
    used.update(name for _, name in named_in_contexts(connection, seen))
    deleted = 0
    for some in chunks([name for name in names if name not in used]):
        gone = sa.delete(schema.blobs).where(blobs.hash.in_(some), blobs.recorded_at < before)
        deleted += connection.execute(gone).rowcount
    return deleted


def chunks(values: list[str]) -> Iterator[list[str]]:
    """`values` in pieces of at most CHUNK."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]

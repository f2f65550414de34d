"""Is every row still what its name says?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.blobs import named_in_contexts
from limbeck.store.rows import (
    outcome_row,
    rationale_row,
    read_outcome,
    read_rationale,
    read_trace,
    trace_row,
)


def find_damage(connection: sa.Connection) -> Iterator[str]:
    """One sentence for each row whose id, hash or columns do not follow from its content."""
    if connection.dialect.name == "sqlite":
        for line in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if line != "ok":
                yield f"the database file is damaged: {line}"
    yield from _traces(connection)
    yield from _names(connection)
    yield from _outcomes(connection)
    yield from _rationales(connection)
    yield from _blobs(connection)
    yield from _references(connection)


def _traces(connection: sa.Connection) -> Iterator[str]:
    query = sa.select(schema.traces).order_by(schema.traces.c.position)
    for row in connection.execute(query.execution_options(yield_per=500)).mappings():
        try:
            trace = read_trace(row["content"])
        except ValueError:
            yield f"trace {row['id']!r}: its content is not a trace"
            continue
        wanted = trace_row(trace, row["recorded_at"])
        wrong = [name for name in wanted if wanted[name] != row[name]]
        if "id" in wrong:
            yield f"trace {row['id']!r}: its content has the id {trace.id!r}"
        elif wrong:
            yield f"trace {row['id']!r}: the columns {wrong!r} differ from its content"


def _names(connection: sa.Connection) -> Iterator[str]:
    traces, ids, waiting = schema.traces.c, schema.trace_ids.c, schema.arrivals.c
    found = sa.exists().where(ids.id == traces.id, ids.position == traces.position)
    waits = sa.exists().where(waiting.position == traces.position, waiting.id == traces.id)
    lost = sa.select(traces.id).where(~found, ~waits).order_by(traces.position)
    for name in connection.execute(lost).scalars():
        yield f"trace {name!r}: it cannot be found by its id"
    there = sa.exists().where(traces.position == ids.position)
    for name in connection.execute(sa.select(ids.id).where(~there).order_by(ids.id)).scalars():
        yield f"the id {name!r} belongs to no trace"


def _outcomes(connection: sa.Connection) -> Iterator[str]:
    known = sa.exists().where(schema.trace_ids.c.id == schema.outcomes.c.trace_id)
    query = sa.select(schema.outcomes, known.label("known")).order_by(schema.outcomes.c.position)
    for row in connection.execute(query.execution_options(yield_per=500)).mappings():
        try:
            outcome = read_outcome(row["content"])
        except ValueError:
            yield f"outcome {row['position']}: its content is not an outcome"
            continue
        wanted = outcome_row(outcome, row["recorded_at"])
        wrong = [name for name in wanted if wanted[name] != row[name]]
        if wrong:
            yield f"outcome {row['position']}: the columns {wrong!r} differ from its content"
        if not row["known"]:
            yield f"outcome {row['position']}: its trace {row['trace_id']!r} is not in the store"


def _rationales(connection: sa.Connection) -> Iterator[str]:
    query = sa.select(schema.rationales).order_by(schema.rationales.c.position)
    for row in connection.execute(query.execution_options(yield_per=500)).mappings():
        try:
            wanted = rationale_row(read_rationale(row["content"]), row["recorded_at"])
        except ValueError:
            yield f"rationale {row['position']}: its content is not a rationale"
            continue
        wrong = [name for name in wanted if wanted[name] != row[name]]
        if wrong:
            yield f"rationale {row['position']}: the columns {wrong!r} differ from its content"


def _blobs(connection: sa.Connection) -> Iterator[str]:
    query = sa.select(schema.blobs).order_by(schema.blobs.c.hash)
    for row in connection.execute(query.execution_options(yield_per=10)).mappings():
        name = f"sha256:{hashlib.sha256(row['data']).hexdigest()}"
        if name != row["hash"]:
            yield f"blob {row['hash']!r}: its data has the hash {name!r}"


def _references(connection: sa.Connection) -> Iterator[str]:
    """What a trace cannot be read without; its skeleton is only its name."""
    traces, blobs = schema.traces.c, schema.blobs.c
    there = sa.exists().where(blobs.hash == traces.context)
    lost = sa.select(traces.id, traces.context).where(traces.context.is_not(None), ~there)
    for trace_id, context in connection.execute(lost.order_by(traces.position)):
        yield f"trace {trace_id!r}: its context {context!r} is not in the store"
    known: dict[str, bool] = {}
    for context, name in named_in_contexts(connection):
        if name not in known:
            query = sa.select(blobs.hash).where(blobs.hash == name)
            known[name] = connection.execute(query).first() is not None
        if not known[name]:
            yield f"blob {context!r}: it refers to the blob {name!r}, which is not in the store"

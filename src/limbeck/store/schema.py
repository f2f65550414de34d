"""The tables as they are today. How a store of any earlier version gets there is in `migrations`.

`content` is the canonical JSON of the noun and the only source of truth; the other columns repeat
what is worth finding a row by. Times are UTC in ISO 8601, so that text order is time order on every
database.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()


def _named(name: str, column: str) -> Index:
    """An index that leaves out the rows without the name, which are most."""
    there = text(f"{column} IS NOT NULL")
    return Index(name, column, sqlite_where=there, postgresql_where=there)


migrations = Table(
    "migrations",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("applied_at", String(40), nullable=False),
)

traces = Table(
    "traces",
    metadata,
    # New rows come last in this order: appending costs less than scattering by id.
    Column("position", Integer, primary_key=True, autoincrement=True),
    # Found by way of `trace_ids` and `request_ids`: an index here would cost every call more than all else.
    Column("id", String(80), nullable=False),
    Column("task", String(64)),
    Column("source", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("split", String(16)),
    Column("generator", Text, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("skeleton", String(80)),
    Column("context", String(80)),
    Column("subject", Text),
    Column("request_id", Text),
    Column("correlation", Text),
    Column("cost_usd", Float),
    Column("recorded_at", String(40), nullable=False),
    Column("content", Text, nullable=False),
    Index("traces_by_task", "task", "position"),
    _named("traces_by_correlation", "correlation"),
    _named("traces_by_subject", "subject"),
    sqlite_autoincrement=True,
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("id", String(80), nullable=False),
    Column("request_id", Text),
)
"""The names of traces that came a moment ago, until they are sorted into the two tables that follow."""

trace_ids = Table(
    "trace_ids",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("position", Integer, nullable=False),
    sqlite_with_rowid=False,
)

request_ids = Table(
    "request_ids",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("hash", String(80), nullable=False, unique=True),
    Column("trace_id", String(80), ForeignKey("trace_ids.id"), nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("content", Text, nullable=False),
    Index("outcomes_by_trace", "trace_id"),
    sqlite_autoincrement=True,
)

early_outcomes = Table(
    "early_outcomes",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("hash", String(80), nullable=False, unique=True),
    Column("key", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("task", String(64)),
    Column("recorded_at", String(40), nullable=False),
    Column("content", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Outcomes of calls that are not here yet; `key` says which of its names `name` is. Where `task` is
given, only a trace of that task is meant."""

former_ids = Table(
    "former_ids",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("trace_id", String(80), ForeignKey("trace_ids.id"), nullable=False),
    Index("former_ids_by_trace", "trace_id"),
)
"""Ids that a trace had before it was given to a task: a program may still hold one."""

rationales = Table(
    "rationales",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("hash", String(80), nullable=False, unique=True),
    Column("trace_id", String(80), ForeignKey("trace_ids.id"), nullable=False),
    Column("recorded_at", String(40), nullable=False),
    Column("content", Text, nullable=False),
    Index("rationales_by_trace", "trace_id"),
    sqlite_autoincrement=True,
)

blobs = Table(
    "blobs",
    metadata,
    Column("hash", String(80), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("recorded_at", String(40), nullable=False, server_default=""),
)

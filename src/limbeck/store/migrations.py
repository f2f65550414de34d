"""An append-only list of named steps from an empty database to the tables of `schema`.

A step that has been released never changes: it spells its tables out again instead of borrowing
today's, because today's will move on. To change the tables, append a function to `STEPS`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from limbeck.errors import StoreError
from limbeck.store import schema
from limbeck.store.renaming import rename


def traces_outcomes_blobs(connection: sa.Connection) -> None:
    tables = sa.MetaData()
    sa.Table(
        "traces",
        tables,
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("task", sa.String(64)),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("split", sa.String(16)),
        sa.Column("generator", sa.Text, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("skeleton", sa.String(80)),
        sa.Column("request_id", sa.Text),
        sa.Column("correlation", sa.Text),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(40), nullable=False),
        sa.Index("traces_by_task", "task", "id"),
        sa.Index("traces_by_request", "request_id"),
        sa.Index("traces_by_correlation", "correlation"),
    )
    sa.Table(
        "outcomes",
        tables,
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("hash", sa.String(80), nullable=False, unique=True),
        sa.Column("trace_id", sa.String(80), sa.ForeignKey("traces.id"), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(40), nullable=False),
        sa.Index("outcomes_by_trace", "trace_id"),
        sqlite_autoincrement=True,
    )
    sa.Table(
        "blobs",
        tables,
        sa.Column("hash", sa.String(80), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    tables.create_all(connection)


def names_without_defaults(connection: sa.Connection) -> None:
    """A trace is named by what is not a default and not derived, and keeps its place in time.

    Also new: post-hoc rationales, outcomes that come before their trace, names that a trace had
    before, and what a deletion needs.
    """
    for index in ("by_task", "by_request", "by_correlation"):
        connection.exec_driver_sql(f"DROP INDEX traces_{index}")
    connection.exec_driver_sql("DROP INDEX outcomes_by_trace")
    for name in ("traces", "outcomes"):
        connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO {name}_001")
    tables = sa.MetaData()

    def named(name: str, column: str) -> sa.Index:
        there = sa.text(f"{column} IS NOT NULL")
        return sa.Index(name, column, sqlite_where=there, postgresql_where=there)

    def appended(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
        return sa.Table(
            name,
            tables,
            sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
            *columns,
            sa.Column("recorded_at", sa.String(40), nullable=False),
            # Last: what is long makes the columns behind it slow to read.
            sa.Column("content", sa.Text, nullable=False),
            sqlite_autoincrement=True,
        )

    def of_traces(name: str) -> sa.Table:
        return appended(
            name,
            sa.Column("hash", sa.String(80), nullable=False, unique=True),
            sa.Column("trace_id", sa.String(80), sa.ForeignKey("traces.id"), nullable=False),
            sa.Index(f"{name}_by_trace", "trace_id"),
        )

    traces = appended(
        "traces",
        sa.Column("id", sa.String(80), nullable=False, unique=True),
        sa.Column("task", sa.String(64)),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("split", sa.String(16)),
        sa.Column("generator", sa.Text, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("skeleton", sa.String(80)),
        sa.Column("context", sa.String(80)),
        sa.Column("subject", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("correlation", sa.Text),
        sa.Column("cost_usd", sa.Float),
        sa.Index("traces_by_task", "task", "position"),
        named("traces_by_request", "request_id"),
        named("traces_by_correlation", "correlation"),
        named("traces_by_subject", "subject"),
    )
    outcomes = of_traces("outcomes")
    of_traces("rationales")
    appended(
        "early_outcomes",
        sa.Column("hash", sa.String(80), nullable=False, unique=True),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("task", sa.String(64)),
    )
    former_ids = sa.Table(
        "former_ids",
        tables,
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("trace_id", sa.String(80), sa.ForeignKey("traces.id"), nullable=False),
        sa.Index("former_ids_by_trace", "trace_id"),
    )
    tables.create_all(connection)
    connection.exec_driver_sql(
        "ALTER TABLE blobs ADD COLUMN recorded_at VARCHAR(40) NOT NULL DEFAULT ''"
    )
    rename(connection, traces, outcomes, former_ids)
    connection.exec_driver_sql("DROP TABLE outcomes_001")
    connection.exec_driver_sql("DROP TABLE traces_001")


def names_apart(connection: sa.Connection) -> None:
    """The names of traces move out of their table, so that they can be sorted in later."""
    tables = sa.MetaData()
    sa.Table(
        "arrivals",
        tables,
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("request_id", sa.Text),
    )
    sa.Table(
        "trace_ids",
        tables,
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    sa.Table(
        "request_ids",
        tables,
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    tables.create_all(connection)
    connection.exec_driver_sql(
        "INSERT INTO trace_ids (id, position) SELECT id, position FROM traces ORDER BY id"
    )
    connection.exec_driver_sql(
        "INSERT INTO request_ids (request_id, position) SELECT request_id, position FROM traces "
        "WHERE request_id IS NOT NULL ORDER BY request_id, position"
    )
    connection.exec_driver_sql("DROP INDEX traces_by_request")
    if connection.dialect.name == "sqlite":
        _without_unique_ids(connection)
        return
    inspector = sa.inspect(connection)
    for name in ("outcomes", "rationales", "former_ids"):
        for key in inspector.get_foreign_keys(name):
            connection.exec_driver_sql(f'ALTER TABLE {name} DROP CONSTRAINT "{key["name"]}"')
        connection.exec_driver_sql(
            f"ALTER TABLE {name} ADD FOREIGN KEY (trace_id) REFERENCES trace_ids (id)"
        )
    for unique in inspector.get_unique_constraints("traces"):
        connection.exec_driver_sql(f'ALTER TABLE traces DROP CONSTRAINT "{unique["name"]}"')


def _without_unique_ids(connection: sa.Connection) -> None:
    """SQLite takes no constraint away: the tables are made anew from their own words."""
    changes = {
        # Before `traces`, or they would follow it to its other name.
        "outcomes": ("REFERENCES traces (id)", "REFERENCES trace_ids (id)"),
        "rationales": ("REFERENCES traces (id)", "REFERENCES trace_ids (id)"),
        "former_ids": ("REFERENCES traces (id)", "REFERENCES trace_ids (id)"),
        "traces": (", \n\tUNIQUE (id)", ""),
    }
    for name, (old, new) in changes.items():
        query = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
        found = connection.exec_driver_sql(query, (name,)).all()
        [table] = [sql for kind, _, sql in found if kind == "table"]
        assert old in table, f"the table {name} is not as the last step left it"
        indexes = [(index, sql) for kind, index, sql in found if kind == "index"]
        for index, _ in indexes:
            connection.exec_driver_sql(f"DROP INDEX {index}")
        connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO {name}_002")
        connection.exec_driver_sql(table.replace(old, new))
        connection.exec_driver_sql(f"INSERT INTO {name} SELECT * FROM {name}_002")
        # A position that was given once is not given again, also where its row is gone.
        connection.exec_driver_sql(
            "UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = ?) "
            "WHERE name = ?",
            (f"{name}_002", name),
        )
        connection.exec_driver_sql(f"DROP TABLE {name}_002")
        for _, sql in indexes:
            connection.exec_driver_sql(sql)


STEPS: tuple[tuple[str, Callable[[sa.Connection], None]], ...] = (
    ("001_traces_outcomes_blobs", traces_outcomes_blobs),
    ("002_names_without_defaults", names_without_defaults),
    ("003_names_apart", names_apart),
)


def is_current(connection: sa.Connection, place: str) -> bool:
    """Whether every step has been applied.

    Raises StoreError where the store was written by a newer version.
    """
    if not sa.inspect(connection).has_table(schema.migrations.name):
        return False
    return len(_applied(connection, place)) == len(STEPS)


def migrate(connection: sa.Connection, place: str) -> None:
    """Bring the database to today's tables, inside the caller's transaction.

    Raises StoreError where the store was written by a newer version.
    """
    if connection.dialect.name == "postgresql":
        # Two gateways that start at once would both see an empty database.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(73421905)"))
    schema.migrations.create(connection, checkfirst=True)
    done = _applied(connection, place)
    for name, step in STEPS:
        if name in done:
            continue
        step(connection)
        connection.execute(
            sa.insert(schema.migrations).values(name=name, applied_at=datetime.now(UTC).isoformat())
        )


def _applied(connection: sa.Connection, place: str) -> set[str]:
    done = set(connection.execute(sa.select(schema.migrations.c.name)).scalars())
    unknown = sorted(done - {name for name, _ in STEPS})
    if unknown:
        raise StoreError(
            f"the store {place} was written by a newer version of Limbeck (it has the migration "
            f"{unknown[-1]!r}, which this version does not know); upgrade with: "
            f"pip install --upgrade limbeck"
        )
    return done

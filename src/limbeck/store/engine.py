"""A database connection with the promises that the store makes: durable and waiting."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from limbeck.errors import StoreError

WAIT_S = 30.0
"""Seconds for which a writer waits for another process before it gives up."""

LOG_PAGES = 8000
"""Pages of the log before it is moved into the file: 32 MB."""
PAGE_BYTES = 4096
"""A commit writes every page that it touched to the log, whole: in a large store those of the indexes
cost more than the traces. Pages of 8192 fill better and cost each call twice the time."""


def open_engine(place: str | Path, wait_s: float = WAIT_S) -> sa.Engine:
    """An engine for a file path, an `sqlite:///` URL or a `postgresql://` URL.

    `wait_s` is the longest that a lock of another process is waited for. Raises StoreError for a URL
    that cannot be used, and for a driver that is not installed.
    """
    url = _url(place)
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": wait_s})
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, wait_s))
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the store {url.render_as_string()} needs the module {error.name!r}, which is not "
            f"installed; install it with: pip install 'limbeck[postgres]'"
        ) from None
    sa.event.listen(engine, "connect", partial(_prepare_postgresql, wait_s))
    return engine


def compact(engine: sa.Engine, *, shrink: bool) -> bool:
    """Empty the log and, with `shrink`, give free pages back; False where the log stayed in use.

    On PostgreSQL it marks the space as free; the server keeps its files.
    """
    connection = engine.raw_connection()
    try:
        if engine.dialect.name == "postgresql":
            return _compact_postgresql(connection, shrink=shrink)
        cursor = connection.cursor()
        if shrink:
            _shrink(cursor)
        # Frames of the log still hold what was deleted.
        busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    finally:
        connection.close()


def _compact_postgresql(connection: Any, *, shrink: bool) -> bool:
    if shrink:
        connection.rollback()
        connection.driver_connection.autocommit = True
        try:
            connection.cursor().execute("VACUUM")
        finally:
            connection.driver_connection.autocommit = False
    return True


def _shrink(cursor: Any) -> None:
    # Pages that move by themselves would cost every call a fifth more, and deletions are rare.
    if cursor.execute("PRAGMA freelist_count").fetchone()[0]:
        cursor.execute("VACUUM")


def _url(place: str | Path) -> sa.URL:
    text = str(place)
    if "://" not in text:
        return _file_url(Path(text))
    try:
        url = sa.make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # The text may hold a password, so it is not repeated.
        raise StoreError(
            "the store's URL cannot be read; wanted a file path or postgresql://USER@HOST/DATABASE"
        ) from None
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg") if url.drivername == backend else url
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return _file_url(Path(url.database))
    raise StoreError(
        f"the store's URL is {url.render_as_string()!r}; wanted a file path, "
        f"sqlite:///PATH or postgresql://USER@HOST/DATABASE"
    )


def _file_url(path: Path) -> sa.URL:
    path = path.expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder of the store {path}: {error.strerror}; name another place"
        ) from None
    return sa.URL.create("sqlite", database=str(path))


def _prepare_postgresql(wait_s: float, connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {round(wait_s * 1000)}")
    cursor.close()
    connection.commit()


def _prepare_sqlite(wait_s: float, connection: Any, _record: Any) -> None:
    # The driver's own transaction handling would begin too late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {round(wait_s * 1000)}")
    # Both are of effect in an empty file only.
    cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    _write_ahead(cursor, wait_s)
    # What was deleted is overwritten, and cannot be read out of the file.
    cursor.execute("PRAGMA secure_delete = ON")
    # FULL: a commit is on disk before it returns, so that it survives a power cut.
    cursor.execute("PRAGMA synchronous = FULL")
    # Fewer, larger moves from the log into the file: its busiest pages are then moved once.
    cursor.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: Any, wait_s: float) -> None:
    """Switches the file to a write-ahead log, once; waits for others who are making the same store.

    SQLite does not wait by itself here: the switch fails at once while another connection is open in
    the old mode, whatever the busy timeout says.
    """
    give_up = time.monotonic() + wait_s
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", None) in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            )
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once when another writer came
    # between; taking the write lock at the start waits for it instead.
    writing = connection.get_execution_options().get("limbeck_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

"""The one place where a database's own errors become a sentence for a person."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import sqlalchemy.exc as sa_exc

from limbeck.errors import StoreError

_SQLITE: tuple[tuple[str, str, str], ...] = (
    ("SQLITE_FULL", "the disk is full", "free some space and run the same command again"),
    (
        "SQLITE_BUSY",
        "another process has kept it locked for too long",
        "wait for that process to end, or stop it, and run the same command again",
    ),
    (
        "SQLITE_LOCKED",
        "another process has kept it locked for too long",
        "wait for that process to end, or stop it, and run the same command again",
    ),
    (
        "SQLITE_READONLY",
        "it may not be written",
        "check the permissions of the file and of its folder",
    ),
    (
        "SQLITE_CANTOPEN",
        "it cannot be opened",
        "check that the folder exists and that you may write there",
    ),
    ("SQLITE_NOTADB", "the file is not a Limbeck store", "name the right file, or restore a copy"),
    (
        "SQLITE_CORRUPT",
        "the file is damaged",
        "restore a copy, or move the file away and import anew",
    ),
    (
        "SQLITE_IOERR",
        "the disk refused to read or write",
        "check the free space, limits and health of the disk",
    ),
    ("SQLITE_TOOBIG", "a row is larger than the database takes", "leave that row out"),
)

_SQLSTATE: tuple[tuple[str, str, str], ...] = (
    ("53100", "its disk is full", "free some space on the database server"),
    ("53300", "it takes no more connections", "close some, or raise max_connections"),
    ("25006", "it may not be written", "name the primary server, not a read-only replica"),
    ("42501", "this user may not do that", "grant the rights on the Limbeck tables"),
    ("28", "it does not accept this user or password", "check the key `store` in limbeck.toml"),
    ("3D", "there is no such database", "create it, or check the key `store` in limbeck.toml"),
    (
        "08",
        "the server cannot be reached",
        "check that it runs, and the key `store` in limbeck.toml",
    ),
    ("55P03", "another process has kept it locked for too long", "run the same command again"),
    ("57P", "the server is shutting down", "run the same command again when it is back"),
    ("40", "it was busy with a conflicting write", "run the same command again"),
)


@contextlib.contextmanager
def boundary(place: str, *, writing: bool) -> Iterator[None]:
    """Turn what a database driver raises about the store at `place` into StoreError."""
    try:
        yield
    except (sa_exc.SQLAlchemyError, sqlite3.Error) as error:
        what, remedy, whole = _classify(error)
        kept = "nothing of this batch was written; " if writing else ""
        raise StoreError(
            f"cannot {'write' if writing else 'read'} the store {place}: {what}; {kept}{remedy}",
            whole=whole,
        ) from error


def _classify(error: Exception) -> tuple[str, str, bool]:
    """What is wrong, what to do, and whether it concerns the store as a whole."""
    original = getattr(error, "orig", None) or error
    name = getattr(original, "sqlite_errorname", None) or ""
    for prefix, what, remedy in _SQLITE:
        if name.startswith(prefix):
            return what, remedy, prefix != "SQLITE_TOOBIG"
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""
    for prefix, what, remedy in _SQLSTATE:
        if state.startswith(prefix):
            return what, remedy, True
    if isinstance(error, sa_exc.OperationalError) and not name and not state:
        return "the server cannot be reached", "check that it runs, and the key `store`", True
    first_line = next(iter(str(original).splitlines()), type(original).__name__)
    return f"the database says {first_line!r}", "run with --debug to see where", False

"""The short way of a trace into an SQLite file: one connection that is kept, and three statements.

A call waits for it, and a gateway makes thousands a second; a transaction by way of the engine costs
several times the work of the database itself.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.insert import fill


class Journal:
    """Adds traces to the SQLite file of `engine`; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: sa.PoolProxiedConnection | None = None

    def add(self, rows: Sequence[dict[str, Any]]) -> int:
        """Keep the rows of traces in one transaction; how many were new.

        Raises what the driver raises, with nothing kept.
        """
        with self._lock:
            # Taken from the engine, so that it is as durable as any other of its connections.
            connection = self._connection or self._engine.raw_connection()
            self._connection = None
            try:
                cursor = connection.cursor()

                def execute(statement: str, values: tuple[Any, ...]) -> int:
                    return int(cursor.execute(statement, values).rowcount)

                cursor.execute("BEGIN IMMEDIATE")
                new = fill(execute, "qmark", schema.traces.name, rows)
                cursor.execute("COMMIT")
                cursor.close()
            except BaseException:
                connection.invalidate()
                raise
            self._connection = connection
            return new

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

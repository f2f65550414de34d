"""The short way of a trace into an SQLite file: one connection that is kept, and few statements.

A call waits for it, and a gateway makes thousands a second; a transaction by way of the engine costs
several times the work of the database itself.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import sqlalchemy as sa

from limbeck.store.insert import Row
from limbeck.store.naming import append


class Journal:
    """Adds traces to the SQLite file of `engine`; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: sa.PoolProxiedConnection | None = None

    def add(self, rows: Sequence[Row]) -> None:
        """Keep the rows of traces in one transaction; their names wait to be sorted in.

        Raises what the driver raises, with nothing kept.
        """
        with self._lock:
            # Taken from the engine, so that it is as durable as any other of its connections.
            connection = self._connection or self._engine.raw_connection()
            self._connection = None
            try:
                cursor = connection.cursor()
                cursor.execute("BEGIN IMMEDIATE")
                append(cursor.execute, rows)
                cursor.execute("COMMIT")
                cursor.close()
            except BaseException:
                connection.invalidate()
                raise
            self._connection = connection

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

"""Many rows in few statements: what the store does most, and on the way of every call.

A statement of many rows is one call into the database, during which other threads run; row by row,
this thread would have to win the interpreter back after each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

LARGEST = 512
"""Rows in one statement; with the columns of a trace that stays within what SQLite takes."""


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> int:
    """How many of `rows` were new; those whose unique name is there already are passed over.

    Every row has the same keys in the same order.
    """
    new = start = 0
    size = LARGEST
    while start < len(rows):
        # Powers of two, so that few statements are ever made and the driver keeps them compiled.
        while size > len(rows) - start:
            size //= 2
        some = rows[start : start + size]
        statement = _statement(table.name, tuple(some[0]), size, connection.dialect.paramstyle)
        values = tuple(value for row in some for value in row.values())
        new += connection.exec_driver_sql(statement, values).rowcount
        start += size
    return new


@cache
def _statement(table: str, columns: tuple[str, ...], rows: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} "
        # Only a name that is there already is passed over; any other conflict is an error.
        f"ON CONFLICT ({'id' if 'id' in columns else 'hash'}) DO NOTHING"
    )

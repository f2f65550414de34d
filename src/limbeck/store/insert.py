"""Many rows in few statements: what the store does most, and on the way of every call.

A statement of many rows is one call into the database, during which other threads run; row by row,
this thread would have to win the interpreter back after each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

LARGEST = 64
"""Rows in one statement. Statements of each size up to this one are kept compiled by the driver."""

Execute = Callable[[str, tuple[Any, ...]], int]
"""Runs a statement of the driver's own with its values; how many rows it changed."""


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> int:
    """How many of `rows` were new; those whose unique name is there already are passed over.

    Every row has the same keys in the same order.
    """

    def execute(statement: str, values: tuple[Any, ...]) -> int:
        return connection.exec_driver_sql(statement, values).rowcount

    return fill(execute, connection.dialect.paramstyle, table.name, rows)


def fill(execute: Execute, paramstyle: str, table: str, rows: Sequence[dict[str, Any]]) -> int:
    """`insert` by way of `execute`, with placeholders in the driver's `paramstyle`."""
    new = 0
    for start in range(0, len(rows), LARGEST):
        some = rows[start : start + LARGEST]
        statement = _statement(table, tuple(some[0]), len(some), paramstyle)
        new += execute(statement, tuple(value for row in some for value in row.values()))
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

"""Many rows in few statements: what the store does most, and on the way of every call.

A statement of many rows is one call into the database, during which other threads run; row by row,
this thread would have to win the interpreter back after each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

LARGEST = 64
"""Rows in one statement. Statements of each size up to this one are kept compiled by the driver."""

UNIQUE: Mapping[str, str | None] = {
    "arrivals": None,
    "former_ids": "id",
    "request_ids": "request_id, position",
    "trace_ids": "id",
    "traces": None,
}
"""What makes two rows of a table the same; of the tables that are not named here it is `hash`."""

Row = Mapping[str, Any]


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> int:
    """How many of `rows` were new; those whose unique name is there already are passed over.

    Every row has the same keys in the same order.
    """
    every = statements(connection.dialect.paramstyle, table.name, rows)
    return sum(connection.exec_driver_sql(*one).rowcount for one in every)


def statements(
    paramstyle: str, table: str, rows: Sequence[Row], more: str = ""
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The driver's own statements that insert `rows`, each with its values; `more` ends each."""
    for start in range(0, len(rows), LARGEST):
        some = rows[start : start + LARGEST]
        statement = _statement(table, tuple(some[0]), len(some), paramstyle)
        yield statement + more, tuple(value for row in some for value in row.values())


@cache
def _statement(table: str, columns: tuple[str, ...], rows: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    unique = UNIQUE.get(table, "hash")
    # Only a name that is there already is passed over; any other conflict is an error.
    passed = f" ON CONFLICT ({unique}) DO NOTHING" if unique is not None else ""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}{passed}"

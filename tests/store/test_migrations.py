from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from limbeck.errors import StoreError
from limbeck.store import schema
from limbeck.store.migrations import STEPS
from limbeck.store.store import Store


def test_the_steps_lead_to_the_tables_of_the_schema(path: Path) -> None:
    Store(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    inspector = sa.inspect(engine)
    assert set(inspector.get_table_names()) >= set(schema.metadata.tables)
    for table in schema.metadata.tables.values():
        found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}
        indexes = {index["name"] for index in inspector.get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= indexes
    engine.dispose()


def test_every_step_is_recorded_once(path: Path) -> None:
    for _ in range(2):
        Store(path).close()
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM migrations ORDER BY name").fetchall()
    connection.close()
    assert [name for (name,) in rows] == [name for name, _ in STEPS]


def test_a_store_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO migrations VALUES ('999_from_the_future', '2030')")
    connection.close()
    with pytest.raises(StoreError, match=r"newer version.*'999_from_the_future'.*pip install"):
        Store(path)


def test_a_step_that_fails_leaves_no_half_made_store(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: sa.Connection) -> None:
        connection.execute(sa.text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr("limbeck.store.migrations.STEPS", (*STEPS, ("999_broken", broken)))
    with pytest.raises(StoreError):
        Store(path)
    monkeypatch.undo()
    with Store(path) as store:
        assert store.verify() == []


def test_the_names_of_the_steps_are_in_order() -> None:
    names = [name for name, _ in STEPS]
    assert names == sorted(set(names))

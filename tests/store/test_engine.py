from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from limbeck.errors import StoreError
from limbeck.store.engine import open_engine
from limbeck.store.store import Store


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 30_000)],
)
def test_sqlite_is_opened_with_the_promises_of_the_store(
    path: Path, pragma: str, value: str | int
) -> None:
    engine = open_engine(path)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "100%.db", "ü.db"])
def test_a_path_is_a_path_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    Store(tmp_path / name).close()
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
        assert connection.execute("SELECT count(*) FROM traces").fetchone() == (0,)


def test_an_sqlite_url_is_a_path(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path}/store.db") as store:
        assert store.place == f"{tmp_path}/store.db"


@pytest.mark.parametrize("url", ["mysql://me:secret@db/x", "sqlite://", "nonsense://:secret@x:y/"])
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError, match="wanted a file path") as caught:
        open_engine(url)
    assert "secret" not in str(caught.value)


def test_postgresql_without_its_driver_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> sa.Engine:
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr(sa, "create_engine", missing)
    with pytest.raises(StoreError, match=r"pip install 'limbeck\[postgres\]'") as caught:
        open_engine("postgresql://me:secret@db/limbeck")
    assert "secret" not in str(caught.value)

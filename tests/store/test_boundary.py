from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from limbeck.errors import StoreError
from limbeck.store.boundary import boundary
from limbeck.store.store import Store
from limbeck.types import Trace

Make = Callable[..., Trace]


def test_a_full_disk_writes_nothing_of_the_batch_and_can_be_tried_again(
    path: Path, make: Make
) -> None:
    with Store(path) as store:
        store.add([make("before")])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]

    def fill_up(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    with Store(path) as store:
        sa.event.listen(store._engine, "connect", fill_up)
        store._engine.dispose()
        with pytest.raises(
            StoreError, match=r"the disk is full; nothing of this batch was written"
        ):
            store.add([make(f"{i} " + "x" * 500) for i in range(100)])
        assert store.counts().traces == 1
        assert store.verify() == []
    with Store(path) as store:
        assert store.add([make(f"{i} " + "x" * 500) for i in range(100)]) == 100


def test_a_store_that_stays_locked_says_so(path: Path, make: Make) -> None:
    with Store(path, wait_s=0.01) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another process .* nothing of this batch") as caught:
            store.add([make()])
        assert caught.value.whole
        other.rollback()
        other.close()
        assert store.add([make()]) == 1


def test_a_file_that_is_no_store_says_so(path: Path) -> None:
    path.write_text("this is not a database, however long it may be\n" * 100)
    with pytest.raises(StoreError, match="not a Limbeck store"):
        Store(path)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the folder of the store"):
        Store(tmp_path / "file" / "deep" / "store.db")


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ("53100", "its disk is full"),
        ("25006", "it may not be written"),
        ("28P01", "does not accept this user or password"),
        ("08006", "the server cannot be reached"),
    ],
)
def test_the_codes_of_postgresql_are_told_apart(state: str, wanted: str) -> None:
    class DriverError(Exception):
        sqlstate = state

    with pytest.raises(StoreError, match=wanted), boundary("db", writing=True):
        raise sa_exc.OperationalError("INSERT", {}, DriverError("words of the server"))


def test_an_error_that_is_not_known_is_quoted() -> None:
    with (
        pytest.raises(StoreError, match=r"cannot read the store db: .*'no such thing'"),
        boundary("db", writing=False),
    ):
        raise sa_exc.DatabaseError("SELECT", {}, sqlite3.DatabaseError("no such thing\nmore"))


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), boundary("db", writing=True):
        raise KeyError("mine")

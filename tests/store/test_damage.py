from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.errors import StoreError
from limbeck.store.store import Store
from limbeck.types import Outcome, Trace

Make = Callable[..., Trace]


@pytest.fixture
def trace(path: Path, make: Make) -> Trace:
    trace = make("the question")
    with Store(path) as store:
        store.record([trace], [Outcome(trace_id=trace.id, value="a", source="gold")])
        store.put_blob(b"data")
    return trace


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("UPDATE traces SET content = replace(content, 'question', 'Question')", "has the id"),
        ("UPDATE traces SET content = 'x'", "is not a trace"),
        ("UPDATE traces SET status = 'error'", "the columns ['status'] differ"),
        ("UPDATE outcomes SET content = replace(content, '\"a\"', '\"b\"')", "['hash'] differ"),
        ("UPDATE outcomes SET content = '{}'", "is not an outcome"),
        ("UPDATE outcomes SET trace_id = 'sha256:0'", "is not in the store"),
        ("UPDATE blobs SET data = x'00'", "its data has the hash"),
    ],
)
def test_every_change_behind_the_back_is_reported(
    path: Path, trace: Trace, change: str, wanted: str
) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    with Store(path) as store:
        assert any(wanted in sentence for sentence in store.verify())


def test_a_context_or_medium_that_is_gone_is_reported(path: Path, store: Store, make: Make) -> None:
    image = store.put_blob(b"image")
    context = store.put_blob(f'[{{"blob":"{image}"}}]'.encode())
    trace = make(context=context, skeleton="sha256:the skeleton may be unknown")
    store.add([trace])
    assert store.verify() == []
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM blobs WHERE hash = ?", [image])
    assert store.verify() == [
        f"blob {context!r}: it refers to the blob {image!r}, which is not in the store"
    ]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM blobs")
    connection.close()
    assert store.verify() == [f"trace {trace.id!r}: its context {context!r} is not in the store"]


def test_reading_a_damaged_trace_names_it(path: Path, trace: Trace) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE traces SET content = '{'")
    connection.close()
    with Store(path) as store, pytest.raises(StoreError, match=rf"{trace.id}.*store verify"):
        list(store.traces("t"))

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from limbeck.errors import StoreError
from limbeck.store.store import Store
from limbeck.store.writer import NO_BLOBS, Entry, Writer
from limbeck.types import Provenance, Trace, text_hash


def trace(text: str) -> Trace:
    return Trace(task="t", input=text, raw="ok", provenance=Provenance(source="gateway"))


class Sink:
    """A store that can be held, and that refuses some traces."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.open = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []
        self.blobs: dict[str, bytes] = {}

    def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes] = NO_BLOBS) -> None:
        batch = [trace.input for trace in traces]
        self.entered.set()
        self.open.wait()
        if self.refused in batch:
            raise StoreError(f"no room for {self.refused!r}")
        self.batches.append(batch)
        self.blobs.update(blobs)


def test_what_waits_while_a_commit_runs_shares_the_next_one() -> None:
    sink = Sink()
    with Writer(sink, most=3) as writer:
        futures = [writer.submit(trace("first"))]
        sink.entered.wait()
        futures += [writer.submit(trace(f"{number}")) for number in range(4)]
        assert not any(future.done() for future in futures)
        sink.open.set()
        for future in futures:
            future.result()
    assert sink.batches == [["first"], ["0", "1", "2"], ["3"]]


def test_a_trace_that_cannot_be_written_does_not_cost_its_neighbours() -> None:
    sink = Sink(refused="bad")
    with Writer(sink) as writer:
        first = writer.submit(trace("first"))
        sink.entered.wait()
        futures = {text: writer.submit(trace(text)) for text in ("a", "bad", "b")}
        sink.open.set()
        first.result()
        with pytest.raises(StoreError, match="no room for 'bad'"):
            futures["bad"].result()
        futures["a"].result()
        futures["b"].result()
    assert sink.batches == [["first"], ["a"], ["b"]]


def test_closing_writes_what_is_waiting_and_then_refuses_more() -> None:
    sink = Sink()
    writer = Writer(sink)
    futures = [writer.submit(trace(f"{number}")) for number in range(10)]
    sink.open.set()
    writer.close()
    writer.close()
    assert all(future.done() for future in futures)
    assert sum(map(len, sink.batches)) == 10
    with pytest.raises(RuntimeError, match="closed"):
        writer.submit(trace("late"))


def test_a_resolved_future_means_that_another_connection_reads_the_trace(tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    traces = [trace(f"{number}") for number in range(40)]
    with Store(place) as store, Writer(store) as writer, Store(place) as other:

        def write_and_look(one: Trace) -> bool:
            writer.submit(one).result()
            return other.trace(one.id) == one

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(write_and_look, traces))


def test_the_blobs_of_a_batch_come_with_it(tmp_path: Path) -> None:
    data = b"the instructions"
    name = text_hash(data.decode())
    with Store(tmp_path / "store.db") as store, Writer(store) as writer:
        futures = [writer.submit(trace(f"{number}"), {name: data}) for number in range(5)]
        for future in futures:
            future.result()
        assert store.blob(name) == data
        assert store.counts().blobs == 1


def test_an_entry_tells_whoever_finishes_it_once_and_in_order() -> None:
    sink = Sink(refused="bad")
    sink.open.set()
    told: list[tuple[list[str], str]] = []

    def finish(entries: Sequence[Entry], error: Exception | None) -> None:
        told.append(([entry.waiter for entry in entries], str(error or "")))

    with Writer(sink, finish) as writer:
        for name in ("a", "bad", "b"):
            writer.put(Entry(trace(name), NO_BLOBS, name))
    assert [name for names, _ in told for name in names] == ["a", "bad", "b"]
    assert [error for names, error in told if "bad" in names] == ["no room for 'bad'"]
    assert all(error == "" for names, error in told if "bad" not in names)


def test_the_depth_is_what_waits_behind_the_batch_that_is_being_written() -> None:
    sink = Sink()
    with Writer(sink) as writer:
        writer.submit(trace("first"))
        sink.entered.wait()
        for number in range(3):
            writer.submit(trace(f"{number}"))
        assert writer.depth == 3
        sink.open.set()
    assert writer.depth == 0


def test_a_store_that_fails_as_a_whole_is_tried_once_for_a_batch() -> None:
    class Down(Sink):
        tries = 0

        def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes] = NO_BLOBS) -> None:
            self.tries += 1
            self.entered.set()
            self.open.wait()
            raise StoreError("another process has kept it locked for too long", whole=True)

    sink = Down()
    with Writer(sink) as writer:
        futures = [writer.submit(trace("first"))]
        sink.entered.wait()
        futures += [writer.submit(trace(f"{number}")) for number in range(9)]
        sink.open.set()
        for future in futures:
            with pytest.raises(StoreError, match="locked"):
                future.result()
    assert sink.tries == 2

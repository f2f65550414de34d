"""Group commit: many callers, one transaction, and nobody is told before it is on disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Protocol, Self

from limbeck.types import Trace

NO_BLOBS: Mapping[str, bytes] = MappingProxyType({})


class TraceSink(Protocol):
    """What a writer needs of a store."""

    def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes] = NO_BLOBS) -> None: ...


class Entry(NamedTuple):
    """A trace that waits for the disk, the blobs that it refers to, and whoever waits with it."""

    trace: Trace
    blobs: Mapping[str, bytes]
    waiter: Any


Finish = Callable[[Sequence[Entry], Exception | None], None]
"""Told, in the writer's thread, that the entries are on disk, or what the store raised."""


def set_futures(entries: Sequence[Entry], error: Exception | None) -> None:
    """The usual `Finish`: each waiter is a `concurrent.futures.Future`."""
    for entry in entries:
        if error is None:
            entry.waiter.set_result(None)
        else:
            entry.waiter.set_exception(error)


class Writer:
    """One thread that commits whatever is waiting, at most `most` traces at a time.

    A commit costs the same for one trace as for hundreds, so that under load the callers who wait
    for one disk write share the next.
    """

    def __init__(
        self,
        store: TraceSink,
        finish: Finish = set_futures,
        most: int = 512,
    ) -> None:
        self._store = store
        self._finish = finish
        self._most = most
        self._waiting: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        # A finalizer may bring a trace in a thread that is just bringing another.
        self._lock = threading.RLock()
        self._closed = False
        # Not a daemon: what was submitted is written before the process may end.
        self._thread = threading.Thread(target=self._run, name="limbeck-writer")
        self._thread.start()

    def submit(self, trace: Trace, blobs: Mapping[str, bytes] = NO_BLOBS) -> Future[None]:
        """A future that is done when `trace` is on disk, or holds what the store raised."""
        future: Future[None] = Future()
        self.put(Entry(trace, blobs, future))
        return future

    def put(self, entry: Entry) -> None:
        """Write `entry`; `finish` is told. Raises RuntimeError after `close`."""
        # Under the lock nothing can come behind the mark that ends the thread.
        with self._lock:
            if self._closed:
                raise RuntimeError("the writer is closed")
            self._waiting.put(entry)

    @property
    def depth(self) -> int:
        """How many traces wait."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what is waiting, then stop. Calling it again does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        going = True
        while going:
            batch: list[Entry] = []
            item = self._waiting.get()
            while item is not None:
                batch.append(item)
                if len(batch) == self._most or self._waiting.empty():
                    break
                item = self._waiting.get()
            going = item is not None
            if batch:
                self._commit(batch)

    def _commit(self, batch: Sequence[Entry]) -> None:
        blobs = {name: data for entry in batch for name, data in entry.blobs.items()}
        try:
            self._store.append([entry.trace for entry in batch], blobs)
        except Exception as error:  # noqa: BLE001 - every caller is told what the store raised
            # A store that fails as a whole would let each of them wait for the same failure.
            if len(batch) == 1 or getattr(error, "whole", False):
                self._finish(batch, error)
                return
            # One trace that cannot be written must not cost its neighbours.
            for entry in batch:
                self._commit([entry])
        else:
            self._finish(batch, None)

"""Group commit: many callers, one transaction, and nobody is told before it is on disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Protocol, Self

from limbeck.types import Trace


class TraceSink(Protocol):
    """What a writer needs of a store."""

    def add(self, traces: Iterable[Trace]) -> int: ...


class Writer:
    """One thread that commits whatever is waiting, at most `most` traces at a time.

    A commit costs the same for one trace as for hundreds, so that under load the callers who wait
    for one disk write share the next.
    """

    def __init__(self, store: TraceSink, most: int = 512) -> None:
        self._store = store
        self._most = most
        self._waiting: queue.SimpleQueue[tuple[Trace, Future[None]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        # Not a daemon: what was submitted is written before the process may end.
        self._thread = threading.Thread(target=self._run, name="limbeck-writer")
        self._thread.start()

    def submit(self, trace: Trace) -> Future[None]:
        """A future that is done when `trace` is on disk, or holds what the store raised."""
        future: Future[None] = Future()
        # Under the lock nothing can come behind the mark that ends the thread.
        with self._lock:
            if self._closed:
                raise RuntimeError("the writer is closed")
            self._waiting.put((trace, future))
        return future

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
            batch: list[tuple[Trace, Future[None]]] = []
            item = self._waiting.get()
            while item is not None:
                batch.append(item)
                if len(batch) == self._most or self._waiting.empty():
                    break
                item = self._waiting.get()
            going = item is not None
            if batch:
                self._commit(batch)

    def _commit(self, batch: list[tuple[Trace, Future[None]]]) -> None:
        try:
            self._store.add([trace for trace, _ in batch])
        except Exception as error:  # noqa: BLE001 - every caller is told what the store raised
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # One trace that cannot be written must not cost its neighbours.
            for item in batch:
                self._commit([item])
        else:
            for _, future in batch:
                future.set_result(None)

"""Continuous batching in a thread of its own: whoever asks waits for a future."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from limbeck.errors import StudentError
from limbeck.models.local.batch import Batch, Told
from limbeck.models.local.requests import Request, Wrote

if TYPE_CHECKING:
    from limbeck.models.local.student import Student


class Engine:
    """A student at work in a thread of its own, on at most `batch` requests at once."""

    def __init__(self, student: Student, *, batch: int = 64) -> None:
        self._batch = Batch(student, most=batch)
        self._waiting: queue.SimpleQueue[tuple[Request, Told | None, Future[Wrote]] | None] = (
            queue.SimpleQueue()
        )
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="limbeck-engine", daemon=True)
        self._thread.start()

    @property
    def most(self) -> int:
        """The most requests that were written together."""
        return self._batch.most

    def submit(self, request: Request | str, told: Told | None = None) -> Future[Wrote]:
        """A reply to come."""
        if isinstance(request, str):
            request = Request(request)
        future: Future[Wrote] = Future()
        if self._closing:
            raise StudentError("the student is being put away and takes no more requests")
        self._waiting.put((request, told, future))
        return future

    def forget(self, future: Future[Wrote]) -> None:
        """Nobody waits for this reply any more: it leaves the batch at the next step."""
        self._batch.forget(future)

    def close(self) -> None:
        """Takes no more requests, and returns when those under way are done."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    # -- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        batch, ended = self._batch, False
        while batch.busy or not ended:
            while batch.open and not ended:
                try:
                    taken = self._waiting.get(block=not batch.busy)
                except queue.Empty:
                    break
                if taken is None:
                    ended = True
                else:
                    batch.join(*taken)
            if batch.busy:
                batch.step()

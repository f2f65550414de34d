"""The stores that this process writes to: opened once, written in groups, whole at exit and fork."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Literal

from limbeck.errors import StoreError
from limbeck.store.spool import Spool
from limbeck.store.store import Store
from limbeck.store.writer import NO_BLOBS, Entry, TraceSink, Writer
from limbeck.types import Trace

LOG = logging.getLogger("limbeck.capture")

Place = str | Path | TraceSink
"""A file path, a database URL, or a store that is open already."""


Kept = Literal["store", "spool"]
"""Where a trace lies."""


class Journal:
    """One store, and the thread that writes to it. Safe to share between threads.

    What the store does not take waits in a file of the folder `spool`, if one is given. Opens the store
    at once. Raises StoreError where that fails.
    """

    def __init__(self, place: Place, spool: Path | None = None) -> None:
        self._place = place
        self._spool = Spool(spool) if spool is not None else None
        self._spooling = threading.Lock()
        self._lock = threading.RLock()
        self._writer: Writer | None = None
        self._store: TraceSink | None = None
        self._closed = False
        self._abandoned: list[object] = []
        self.store()

    def submit(self, trace: Trace, blobs: Mapping[str, bytes] = NO_BLOBS) -> Future[Kept]:
        """A future that is done when `trace` is on disk, or holds what the store raised."""
        future: Future[Kept] = Future()
        entry = Entry(trace, blobs, future)
        try:
            self._writing().put(entry)
        except RuntimeError:
            # The process is ending: no thread is started or waited for any more.
            self._write_here(entry)
        except StoreError as error:
            self._finish([entry], error)
        return future

    def close(self) -> None:
        """Write what is waiting. What comes later is written by the thread that brings it."""
        with self._lock:
            self._closed = True
            writer = self._writer
        if writer is not None:
            writer.close()

    def store(self) -> TraceSink:
        """The store, open in this process. Raises StoreError."""
        with self._lock:
            if self._store is None:
                given = self._place
                self._store = Store(given) if isinstance(given, str | Path) else given
            return self._store

    def _writing(self) -> Writer:
        with self._lock:
            if self._closed:
                raise RuntimeError("the journal is closed")
            if self._writer is None:
                self._writer = Writer(self.store(), self._finish)
                _watch_for_the_end()
            return self._writer

    def _write_here(self, entry: Entry) -> None:
        try:
            self.store().append([entry.trace], entry.blobs)
        except Exception as error:  # noqa: BLE001 - the waiter is told what the store raised
            self._finish([entry], error)
        else:
            self._finish([entry], None)

    def _finish(self, entries: Sequence[Entry], error: Exception | None) -> None:
        """Tell those who wait; what the store did not take goes to the spool first."""
        kept: Kept = "store"
        if error is not None and self._spool is not None:
            # A disk that takes neither is told by the store's own error.
            with contextlib.suppress(StoreError), self._spooling:
                self._spool.add(entries)
                LOG.warning("%d calls wait in %s: %s", len(entries), self._spool.folder, error)
                kept, error = "spool", None
        for entry in entries:
            if error is None:
                entry.waiter.set_result(kept)
            else:
                entry.waiter.set_exception(error)

    def _forked(self) -> None:
        """Start anew in a child process: threads and database connections do not survive a fork."""
        self._lock = threading.RLock()
        self._spooling = threading.Lock()
        # Closing what the parent still uses would take its locks away, so it is left as it is.
        self._abandoned += [self._writer, self._store, self._spool]
        self._spool = Spool(self._spool.folder) if self._spool is not None else None
        if isinstance(self._place, Store):
            self._place = self._place.place
        self._writer = self._store = None
        self._closed = False


_lock = threading.RLock()
_journals: dict[tuple[str, Path | None], Journal] = {}
_given: list[tuple[TraceSink, Journal]] = []
_watching = False


def open_journal(place: Place, spool: Path | None = None) -> Journal:
    """The journal of the store at `place`; the same one each time. Raises StoreError."""
    with _lock:
        if not isinstance(place, str | Path):
            found = next((journal for given, journal in _given if given is place), None)
            if found is None:
                found = Journal(place, spool)
                _given.append((place, found))
            return found
        name = str(place), spool
        if name not in _journals:
            _journals[name] = Journal(place, spool)
        return _journals[name]


def close_journals() -> None:
    """Write what is waiting, and forget every journal. One that is still held goes on to write, in the
    thread that brings a trace."""
    journals = _every_journal()
    with _lock:
        _journals.clear()
        _given.clear()
    for journal in journals:
        journal.close()


def _every_journal() -> list[Journal]:
    with _lock:
        return [*_journals.values(), *(journal for _, journal in _given)]


def _watch_for_the_end() -> None:
    """End the writers with the main thread: they are no daemons, and the process would wait for them
    for ever; what `atexit` calls comes after that."""
    global _watching
    with _lock:
        if _watching:
            return
        _watching = True
    threading.Thread(target=_close_at_the_end, name="limbeck-end", daemon=True).start()


def _close_at_the_end() -> None:
    threading.main_thread().join()
    close_journals()


def _after_fork() -> None:
    global _lock, _watching
    _lock = threading.RLock()
    _watching = False
    for journal in _every_journal():
        journal._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

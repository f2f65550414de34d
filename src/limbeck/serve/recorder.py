"""Traces on disk before their replies leave; a store that fails has the spool behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from limbeck.capture.recording import Recording
from limbeck.serve.counts import Counts
from limbeck.serve.metrics import MeasuredSink, Metrics
from limbeck.store.spool import Spool
from limbeck.store.writer import Entry, TraceSink, Writer

log = logging.getLogger("limbeck.gateway")

KNOWN_S = 600.0
"""Seconds for which a blob that was written is not written again: a deletion may have taken it."""
KNOWN = 4096
"""Blobs that are remembered as written."""


class Recorder:
    """Puts traces on disk; where the store fails, into the spool. Failures are counted, never thrown."""

    def __init__(
        self, store: TraceSink, spool: Spool | None, counts: Counts, metrics: Metrics
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spool = spool
        self._counts = counts
        self._writer = Writer(MeasuredSink(store, metrics), self._finish)
        self._failing = False
        self._known: dict[str, float] = {}

    async def keep(self, recording: Recording) -> bool:
        """Whether the trace is on disk: in the store or in the spool."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        blobs = recording.blobs
        if blobs:
            now = self._loop.time()
            blobs = {name: blobs[name] for name in blobs if self._known.get(name, 0.0) < now}
        try:
            self._writer.put(Entry(recording.trace, blobs, waiter))
            await waiter
        except Exception as error:  # noqa: BLE001 - a store that fails never fails the client
            self._counts.unrecorded += 1
            self._counts.last_store_error = f"{type(error).__name__}: {error}"
            self._failing = True
            log.error("a trace was lost: %s", error, extra={"event": "trace_lost"})
            return False
        self._counts.recorded += 1
        for name in blobs:
            self._remember(name)
        return True

    @property
    def waiting(self) -> int:
        """How many traces wait for the disk."""
        return self._writer.depth

    def close(self) -> None:
        """Write what waits, then stop; blocks until it is on disk."""
        self._writer.close()

    def _remember(self, name: str) -> None:
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[name] = self._loop.time() + KNOWN_S

    def _finish(self, entries: Sequence[Entry], error: Exception | None) -> None:
        """In the writer's thread: the spool, then one message to the loop for all that waited."""
        spooled = False
        if error is not None and self._spool is not None:
            try:
                self._spool.add(entries)
                spooled = True
            except Exception as second:  # noqa: BLE001 - both are told
                error = ExceptionGroup(
                    "neither the store nor the spool could be written", [error, second]
                )
        self._loop.call_soon_threadsafe(self._tell, entries, error, spooled)

    def _tell(self, entries: Sequence[Entry], error: Exception | None, spooled: bool) -> None:
        if spooled:
            self._counts.spooled += len(entries)
            self._counts.last_store_error = f"{type(error).__name__}: {error}"
            self._failing = True
            fields = {"event": "store_failed", "traces": len(entries)}
            log.error(
                "the store failed, the spool has what it did not take: %s", error, extra=fields
            )
        elif error is None and self._failing:
            self._failing = False
            fields = {"event": "store_works_again", "spooled": self._counts.spooled}
            log.info("the store works again", extra={**fields, "lost": self._counts.unrecorded})
        for entry in entries:
            if entry.waiter.done():
                continue
            if error is None or spooled:
                entry.waiter.set_result(None)
            else:
                entry.waiter.set_exception(error)


def now() -> datetime:
    return datetime.now(UTC)

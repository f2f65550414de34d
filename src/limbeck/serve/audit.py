"""Audits: calls that the student answered also go to the teacher, who says what it would have answered.

The client has its answer by then. What the teacher says is a trace of its own, which may train the next
student, and an outcome of the student's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from limbeck.capture.reply import reread
from limbeck.serve.counts import Counts
from limbeck.serve.http.message import RawHeaders
from limbeck.serve.http.server import Client
from limbeck.serve.recorder import now
from limbeck.types import Outcome, Task, Trace

log = logging.getLogger("limbeck.gateway")

Attach = Callable[[Sequence[Outcome]], object]


class Nobody(Client):
    """Takes a reply that no client waits for."""

    def __init__(self) -> None:
        self.gone = self.was_cut = False
        self.on_gone = self.on_drained = None

    @property
    def writable(self) -> bool:
        return True

    def send(
        self, status: int, headers: RawHeaders, body: bytes, reason: bytes | None = None
    ) -> None:
        return None

    def start(self, status: int, headers: RawHeaders, reason: bytes | None = None) -> None:
        return None

    def write(self, data: bytes) -> None:
        return None

    def end(self, data: bytes = b"") -> None:
        return None


class Audits:
    """The audits of one gateway that are under way. `attach` keeps outcomes, and may block."""

    def __init__(self, attach: Attach, counts: Counts) -> None:
        self._attach = attach
        self._counts = counts
        self._work: set[asyncio.Task[None]] = set()

    def begin(self, task: Task, student: Trace, ask: Awaitable[Trace | None]) -> None:
        """Check the trace of a student's answer by what the teacher says: the trace that `ask` gives."""
        work = asyncio.ensure_future(self._check(task, student, ask))
        # The event loop keeps only weak references to tasks.
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for those under way, but no longer than that; the rest is given up, and stays open."""
        if self._work:
            _, late = await asyncio.wait(set(self._work), timeout=seconds)
            for work in late:
                work.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _check(self, task: Task, student: Trace, ask: Awaitable[Trace | None]) -> None:
        try:
            said = await ask
            answer = None if said is None else reread(task, said).answer
            if said is None or said.status != "ok" or answer is None:
                self._counts.audits_open += 1
                return
            outcome: dict[str, Any] = {"trace_id": student.id, "value": answer, "at": now()}
            await asyncio.to_thread(self._attach, [Outcome(**outcome, source="teacher_agreement")])
        except Exception as error:  # noqa: BLE001 - the client has its answer; the audit stays open
            self._counts.audits_open += 1
            log.warning("an audit failed: %s", error, extra={"event": "audit_failed"})
        else:
            self._counts.audited += 1

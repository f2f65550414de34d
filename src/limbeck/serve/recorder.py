"""Calls become traces on disk; what goes wrong on the way is counted and seen, never thrown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from limbeck.capture.reply import Reading, read_reply
from limbeck.models.call import Call, Reply
from limbeck.store.writer import Writer
from limbeck.types import Price, Provenance, Status, Task, Trace, Usage, skeleton_of

PER_TOKEN = 1e-6
"""Prices are in USD for a million tokens."""


class Exchange(NamedTuple):
    """A call with everything about it that does not depend on the answer."""

    task: Task | None
    call: Call
    request_id: str
    correlation: str | None
    at: datetime


class Counts:
    """What a gateway has done since it started.

    A teacher that answers with an error status refuses; one that cannot be reached or hangs up
    fails. What cannot be read, as a call or as a reply, passes all the same.
    """

    def __init__(self) -> None:
        self.answered_by_teacher = 0
        self.answered_by_student = 0
        self.recorded = 0
        self.unrecorded = 0
        self.unread = 0
        self.teacher_refusals = 0
        self.teacher_failures = 0
        self.student_failures = 0
        self.last_store_error: str | None = None
        self.last_student_error: str | None = None


class Recorder:
    """Makes traces of exchanges and waits until they are on disk."""

    def __init__(self, writer: Writer, counts: Counts) -> None:
        self._writer = writer
        self._counts = counts

    async def keep_reply(
        self,
        exchange: Exchange,
        reply: Reply,
        *,
        latency_s: float,
        simulated: bool = False,
        status: Status | None = None,
        stop_reason: str | None = None,
    ) -> str | None:
        """Record what the teacher said; the trace's id, or None if it is not on disk."""
        task = exchange.task
        status = status or reply.status
        said = reply.text or reply.thinking
        reading = self._read(task, reply) if task is not None and said else None
        trace = Trace(
            task=task.name if task else None,
            input=exchange.call.user,
            raw=reply.text if said or status != "error" else None,
            thinking=reply.thinking,
            rationale=reading.rationale if reading else None,
            answer=reading.answer if reading else None,
            status=status,
            stop_reason=stop_reason or reply.stop_reason,
            provenance=_provenance(exchange, reply.model or exchange.call.model, simulated),
            usage=reply.usage,
            cost_usd=cost_usd(task.teacher.price, reply.usage) if task else None,
            latency_s=latency_s,
            created_at=exchange.at,
        )
        return await self.keep(trace)

    async def keep(self, trace: Trace) -> str | None:
        """Record `trace`; its id, or None if it is not on disk."""
        try:
            await asyncio.wrap_future(self._writer.submit(trace))
            trace_id = trace.id
        except Exception as error:  # noqa: BLE001 - a store that fails never fails the client
            self._counts.unrecorded += 1
            self._counts.last_store_error = f"{type(error).__name__}: {error}"
            return None
        self._counts.recorded += 1
        return trace_id

    def _read(self, task: Task, reply: Reply) -> Reading | None:
        try:
            return read_reply(task, reply.text, reply.thinking)
        except Exception:  # noqa: BLE001 - the reply is kept as it came and can be read again
            self._counts.unread += 1
            return None


def student_trace(
    exchange: Exchange, task: Task, reply: Reply, answer: str, latency_s: float
) -> Trace:
    """The trace of a call that the student answered; it cost nothing at the provider."""
    provenance = _provenance(exchange, reply.model, simulated=False)
    return Trace(
        task=task.name,
        input=exchange.call.user,
        raw=reply.text,
        answer=answer,
        stop_reason=reply.stop_reason,
        provenance=provenance.model_copy(update={"source": "student"}),
        cost_usd=0.0,
        latency_s=latency_s,
        created_at=exchange.at,
    )


def _provenance(exchange: Exchange, generator: str, simulated: bool) -> Provenance:
    return Provenance(
        source="gateway",
        generator=generator,
        simulated=simulated,
        skeleton=skeleton_of(exchange.call.system),
        request_id=exchange.request_id,
        correlation=exchange.correlation,
    )


def cost_usd(price: Price, usage: Usage) -> float | None:
    """USD for the tokens, cached ones at the full price; None where the task gives no price."""
    if price == Price():
        return None
    return (usage.input * price.input + usage.output * price.output) * PER_TOKEN


def now() -> datetime:
    return datetime.now(UTC)

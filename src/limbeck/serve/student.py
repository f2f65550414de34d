"""The student's turn: it may answer, and whatever goes wrong the teacher does instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from limbeck.capture.recording import Exchange, Recording, provenance, redacted
from limbeck.capture.skeleton import Division
from limbeck.models.call import Call, Reply
from limbeck.serve.assignment import ALIAS
from limbeck.serve.counts import Counts
from limbeck.types import Task, Trace


class Decided(Protocol):
    """Who answers a call. `answer` is the student's, if it has one; `local` lets it out."""

    @property
    def local(self) -> bool: ...

    @property
    def answer(self) -> str | None: ...

    @property
    def confidence(self) -> float | None: ...

    @property
    def reason(self) -> str: ...


Answerer = Callable[[Task, Call, Division], Awaitable[Decided]]
"""Decides for one call of a task in mode `cascade`."""


async def answer_locally(
    answerer: Answerer | None,
    task: Task,
    call: Call,
    division: Division,
    counts: Counts,
    timeout_s: float,
) -> str | None:
    """The student's answer where it may stand, or None where the teacher is to be asked."""
    if answerer is None or task.mode != "cascade" or not call.plain:
        return None
    try:
        async with asyncio.timeout(timeout_s):
            decision = await answerer(task, call, division)
    except Exception as error:  # noqa: BLE001 - a student that fails never fails the client
        counts.student_failures += 1
        counts.last_student_error = f"{type(error).__name__}: {error}"
        return None
    return decision.answer if decision.local else None


def write_answer(task: Task, answer: str, request_id: str, created: int) -> Reply:
    """The reply that a client of the teacher can read: the answer behind the task's marker.

    It holds no rationale, and no token counts because nothing was billed.
    """
    marker = next(iter(task.reply.answer_markers), None)
    return Reply(
        text=f"{marker} {answer}" if marker else answer,
        stop_reason="end_turn",
        model=f"{ALIAS}{task.name}",
        request_id=request_id,
        created=created,
    )


def student_recording(
    exchange: Exchange, task: Task, reply: Reply, answer: str, latency_s: float
) -> Recording:
    """The trace of a call that the student answered; it cost nothing at the provider."""
    origin = provenance(exchange, reply.model)
    trace = Trace(
        task=task.name,
        input=exchange.division.input,
        context=exchange.division.context,
        raw=reply.text,
        stop_reason=reply.stop_reason,
        provenance=origin.model_copy(update={"source": "student", "simulated": False}),
        cost_usd=0.0,
        latency_s=latency_s,
        created_at=exchange.at,
    )
    return redacted(exchange, trace)

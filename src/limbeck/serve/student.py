"""The student's turn: it may answer, and whatever goes wrong the teacher does instead."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from limbeck.capture.recording import Exchange, Recording, provenance, redacted
from limbeck.capture.skeleton import Division
from limbeck.models.call import Call, Reply
from limbeck.serve.counts import Counts
from limbeck.serve.decision import Decision
from limbeck.serve.settings import GatewaySettings
from limbeck.types import Routing, Task, Trace, Usage

Answerer = Callable[[Task, Call, Division, str | None], Awaitable[Decision]]
"""Decides for one call of a task in mode `cascade` or `shadow`, and the group that its caller names."""


@runtime_checkable
class Renewable(Protocol):
    """An answerer whose students can change while it is used. Both methods may block."""

    def refresh(self) -> None: ...

    def close(self) -> None: ...


class Breaker:
    """Stops asking a student that fails time after time, and tries again later."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def open(self, task: str, now: float) -> bool:
        """Whether the student of `task` is left alone at the time `now`."""
        return now < self._until.get(task, 0.0)

    def worked(self, task: str) -> None:
        self._failures.pop(task, None)

    def failed(self, task: str, now: float, *, most: int, rest_s: float) -> None:
        """After `most` failures in a row the student rests; then one more failure is enough."""
        self._failures[task] = self._failures.get(task, 0) + 1
        if self._failures[task] >= most:
            self._until[task] = now + rest_s


class Turn:
    """Asks the students of one gateway, within their time."""

    def __init__(self, answerer: Answerer | None, counts: Counts) -> None:
        self.answerer = answerer
        self._counts = counts
        self._breaker = Breaker()
        self._asked: Counter[str] = Counter()

    def concerns(self, task: Task | None, call: Call) -> bool:
        """Whether a student is asked at all for a call of `task`."""
        wanted = task is not None and task.mode in ("cascade", "shadow")
        return self.answerer is not None and wanted and call.plain

    async def decide(
        self,
        task: Task,
        call: Call,
        division: Division,
        group: str | None,
        settings: GatewaySettings,
    ) -> Decision | None:
        """What the student and its policy say; None where it failed or took too long."""
        loop = asyncio.get_running_loop()
        if self.answerer is None or self._breaker.open(task.name, loop.time()):
            self._counts.student_skipped += self.answerer is not None
            return None
        if self._asked[task.name] >= settings.student_calls:
            # One more would make all of them wait longer, and the teacher is there.
            self._counts.student_skipped += 1
            return None
        self._asked[task.name] += 1
        try:
            async with asyncio.timeout(settings.student_timeout_s):
                decision = await self.answerer(task, call, division, group)
        except Exception as error:  # noqa: BLE001 - a student that fails never fails the client
            self._counts.student_failures += 1
            self._counts.last_student_error = f"{type(error).__name__}: {error}"
            self._breaker.failed(
                task.name,
                loop.time(),
                most=settings.student_failures,
                rest_s=settings.student_rest_s,
            )
            return None
        finally:
            self._asked[task.name] -= 1
        self._breaker.worked(task.name)
        return decision


def routing_of(decision: Decision, *, local: bool, audit: bool = False) -> Routing | None:
    """The decision as it is kept with the trace; None where no policy had a say."""
    if decision.policy is None:
        return None
    return Routing(
        policy=decision.policy,
        local=local,
        answer=decision.answer,
        confidence=decision.confidence,
        signals=decision.signals,
        group=decision.group,
        audit=audit,
        reason=decision.reason,
    )


def drawn(decision: Decision) -> bool:
    """Whether the call is checked, by a draw that knows nothing of the call."""
    return random.random() < decision.audit_rate


NAMES = {"anthropic": "msg_{}", "openai_chat": "chatcmpl-{}", "openai_responses": "resp_{}"}
"""What a dialect's providers call a reply."""


def write_answer(
    task: Task, answer: str, *, dialect: str, model: str, created: int, tokens: tuple[int, int]
) -> Reply:
    """The reply that a client of the teacher can read: the answer behind the task's marker.

    It holds no rationale. The tokens are those of the student; none of them is billed.
    """
    marker = next(iter(task.reply.answer_markers), None)
    return Reply(
        text=f"{marker} {answer}" if marker else answer,
        stop_reason="end_turn",
        usage=Usage(input=tokens[0], output=tokens[1]),
        model=model,
        request_id=NAMES.get(dialect, "{}").format(uuid.uuid4().hex[:24]),
        created=created,
    )


def student_recording(
    exchange: Exchange, task: Task, reply: Reply, generator: str, latency_s: float
) -> Recording:
    """The trace of a call that the student answered; it cost nothing at the provider."""
    origin = provenance(exchange, generator)
    trace = Trace(
        task=task.name,
        input=exchange.division.input,
        context=exchange.division.context,
        raw=reply.text,
        stop_reason=reply.stop_reason,
        group=exchange.group,
        provenance=origin.model_copy(update={"source": "student", "simulated": False}),
        cost_usd=0.0,
        latency_s=latency_s,
        created_at=exchange.at,
        routing=exchange.routing,
    )
    return redacted(exchange, trace)

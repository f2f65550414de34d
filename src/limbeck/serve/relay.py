"""One call on its way: to the student or the teacher, onto the disk, and back to its client."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import time
import uuid
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import Any

from limbeck.capture.elicit.prepare import prepare
from limbeck.capture.recording import Exchange, Recording
from limbeck.capture.skeleton import divide
from limbeck.errors import ConfigError, DataError
from limbeck.models.call import Call
from limbeck.models.dialects.openai_chat import ask_for_usage
from limbeck.models.dialects.table import Dialect
from limbeck.serve.admission import shut_out
from limbeck.serve.assignment import ALIAS, Assignment, assign
from limbeck.serve.audit import Audits, Nobody
from limbeck.serve.counts import Counts
from limbeck.serve.decision import Decision
from limbeck.serve.http.client import Pool
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client
from limbeck.serve.inquiry import Asking, Inquiry
from limbeck.serve.keys import ClientKey
from limbeck.serve.reading import read_json
from limbeck.serve.recorder import Recorder, now
from limbeck.serve.route import Route
from limbeck.serve.saying import JSON, NOT_KEPT, our_headers, refuse
from limbeck.serve.setup import Setup
from limbeck.serve.student import (
    Turn,
    drawn,
    routing_of,
    student_recording,
    write_answer,
)
from limbeck.serve.upstreams import Teacher
from limbeck.serve.watch import Sight, Watch
from limbeck.types import Routing, Task, Trace

log = logging.getLogger("limbeck.gateway")


class Relay:
    """Answers the calls of one gateway. `setup` is replaced when the configuration changes."""

    def __init__(
        self,
        setup: Setup,
        pool: Pool,
        recorder: Recorder,
        counts: Counts,
        turn: Turn,
        audits: Audits,
        watch: Watch,
    ) -> None:
        self.setup = setup
        self._watch = watch
        self._inquiry = Inquiry(pool, self._keep, counts)
        self._recorder = recorder
        self._counts = counts
        self._turn = turn
        self.audits = audits
        # The names of the calls of this run; those of another begin with other bytes.
        self._run = uuid.uuid4().hex[:16]
        self._numbers = itertools.count()

    async def answer(
        self,
        request: Request,
        client: Client,
        route: Route,
        dialect: Dialect,
        key: ClientKey | None = None,
    ) -> None:
        """Answer a call of `dialect`, recorded unless its task says otherwise."""
        started = time.perf_counter()
        try:
            body = read_json(request.body)
            call = dialect.read_request(body)
        except (ValueError, DataError, RecursionError):
            # The teacher explains what is wrong in the words that its clients know.
            self._counts.unread += 1
            return await self.pass_on(request, client, route, dialect, key)
        try:
            task, model = self._assign(request, route, call)
            teacher = self.setup.teacher(dialect.NAME, task, route.upstream)
        except ConfigError as error:
            return self._turn_away(client, dialect, 400, str(error), "invalid_request_error")
        barred = shut_out(key, task.name if task else None)
        if barred is not None:
            return self._turn_away(client, dialect, 403, barred, "permission_error")
        if model is not None:
            body = {**body, "model": model}
            request.body = json.dumps(body).encode()
        if task is not None and task.mode == "off":
            return await self._inquiry.hand_on(request, client, route, teacher)
        exchange = self._exchange(request, task, call, body, teacher)
        sight = self._watch.begin(request, call.model, teacher.provider)
        asking = Asking(exchange, teacher, client, started, sight, self.setup.settings)
        if task is not None and self._turn.concerns(task, call):
            plain = request.body
            decision = await self._students_turn(asking, task)
            if decision is not None and decision.local:
                trace = await self._local(asking, task, decision)
                if trace is not None and trace.routing is not None and trace.routing.audit:
                    request.body = plain
                    self.audits.begin(task, trace, self._audit(asking, request, route, body))
                return None
        self._ask_for_more(asking, request, body)
        return await self._inquiry.ask(asking, request, route)

    async def pass_on(
        self,
        request: Request,
        client: Client,
        route: Route,
        dialect: Dialect,
        key: ClientKey | None = None,
    ) -> None:
        """Hand on what is no call of a task (models, token counts, ...), unread."""
        barred = shut_out(key, route.task)
        if barred is not None:
            return self._turn_away(client, dialect, 403, barred, "permission_error")
        if route.climbs:
            said = f"the path is {route.path.decode('latin-1')!r}; wanted one without .. in it"
            return self._turn_away(client, dialect, 400, said, "invalid_request_error")
        task = self.setup.tasks.get(route.task) if route.task else None
        try:
            teacher = self.setup.teacher(dialect.NAME, task, route.upstream)
        except ConfigError as error:
            return self._turn_away(client, dialect, 400, str(error), "invalid_request_error")
        return await self._inquiry.hand_on(request, client, route, teacher)

    def _turn_away(
        self, client: Client, dialect: Dialect, status: int, message: str, kind: str
    ) -> None:
        self._counts.client_refused(kind)
        fields = {"event": "client_refused", "kind": kind, "status": status}
        log.warning("a client was refused", extra=fields)
        refuse(client, dialect, status, message, kind=kind)

    # -- before the teacher -----------------------------------------------------------------------

    def _assign(self, request: Request, route: Route, call: Call) -> Assignment:
        header = request.header(b"x-limbeck-task")
        return assign(
            self.setup.tasks,
            header=header.decode("latin-1") if header else None,
            path=route.task,
            model=call.model,
        )

    def _exchange(
        self,
        request: Request,
        task: Task | None,
        call: Call,
        body: dict[str, Any],
        teacher: Teacher,
    ) -> Exchange:
        return Exchange(
            source="gateway",
            task=task,
            call=call,
            division=divide(task, call, body),
            dialect=teacher.dialect.NAME,
            request_id=self._name(),
            at=now(),
            correlation=_said(request, b"x-limbeck-key"),
            subject=_said(request, b"x-limbeck-subject"),
            group=_said(request, b"x-limbeck-group"),
            provider=teacher.provider,
            redactor=self.setup.redactors[task.name if task else None],
        )

    def _name(self) -> str:
        """A name for a call, until its teacher gives it one."""
        return f"req_limbeck_{self._run}{next(self._numbers):08x}"

    def _ask_for_more(self, asking: Asking, request: Request, body: dict[str, Any]) -> None:
        """Ask for a rationale where the task wants one, and for the token counts of a stream."""
        call, task = asking.exchange.call, asking.exchange.task
        wanted = body
        if call.stream and not call.wants_usage and asking.teacher.streamed_usage:
            asking.hides_usage = True
            wanted = ask_for_usage(body)
            request.body = json.dumps(wanted).encode()
        if task is None or task.elicit.how == "never":
            return
        asking.prepared = prepare(task, asking.teacher.dialect.NAME, wanted, draw=random.random())
        if asking.prepared is not None:
            asking.own = request.body
            request.body = json.dumps(asking.prepared.body).encode()

    async def _students_turn(self, asking: Asking, task: Task) -> Decision | None:
        """The decision of who answers; in mode `shadow`, and where the stakes are high, the teacher
        does, and what the student says comes along."""
        exchange, settings = asking.exchange, asking.settings
        deciding = self._turn.decide(
            task, exchange.call, exchange.division, exchange.group, settings
        )
        if task.mode == "shadow" or task.stakes == "high":
            asking.shadow = asyncio.ensure_future(_shadowed(deciding))
            return None
        decision = await deciding
        if decision is None:
            return None
        audit = drawn(decision)
        exchange.routing = routing_of(decision, local=decision.local, audit=audit)
        if not decision.local and decision.answer and settings.on_teacher_failure == "answer":
            asking.instead = partial(self._answer_in_need, asking, task, decision)
        return decision

    async def _answer_in_need(self, asking: Asking, task: Task, decision: Decision) -> None:
        """The teacher is down: the student's answer goes out, without a promise and marked as such."""
        self._counts.answered_in_need += 1
        await self._local(asking, task, decision, (b"x-limbeck-degraded", b"teacher-down"))

    async def _audit(
        self, asking: Asking, request: Request, route: Route, body: dict[str, Any]
    ) -> Trace | None:
        """Ask the teacher what the student has answered already. The trace of its reply, if it is kept."""
        exchange = replace(asking.exchange, request_id=self._name(), at=now(), elicited=None)
        sight = replace(asking.sight, first_byte_s=None)
        again = Asking(
            exchange, asking.teacher, Nobody(), time.perf_counter(), sight, asking.settings
        )
        self._ask_for_more(again, request, body)
        await self._inquiry.ask(again, request, route)
        return again.trace

    async def _local(
        self, asking: Asking, task: Task, decision: Decision, *marks: tuple[bytes, bytes]
    ) -> Trace | None:
        """Answer with what the student said. Its trace, if it is kept."""
        exchange, client, dialect = asking.exchange, asking.client, asking.teacher.dialect
        call = exchange.call
        assert decision.answer is not None
        reply = write_answer(
            task,
            decision.answer,
            dialect=dialect.NAME,
            model=call.model.removeprefix(ALIAS)
            if task.teacher.model == ""
            else task.teacher.model,
            created=int(exchange.at.timestamp()),
            tokens=decision.tokens,
        )
        recording = student_recording(exchange, task, reply, ALIAS + task.name, asking.latency_s)
        kept = await self._keep(recording, asking.sight)
        if not kept and asking.settings.on_store_failure == "refuse":
            refuse(client, dialect, 503, NOT_KEPT)
            return None
        self._counts.answered_by_student += 1
        name = exchange.request_id.encode()
        headers = [
            *our_headers(exchange, asking.who("student"), recording.trace.id if kept else None),
            (b"request-id", name),
            (b"x-request-id", name),
            *marks,
        ]
        if call.stream:
            events = dialect.write_stream(reply, with_usage=call.wants_usage)
            client.start(200, [(b"content-type", b"text/event-stream; charset=utf-8"), *headers])
            # One chunk: the answer is there as a whole before the first event is written.
            client.end(b"".join(events))
        else:
            said = json.dumps(dialect.write_reply(reply), separators=(",", ":")).encode()
            client.send(200, [JSON, *headers], said)
        return recording.trace if kept else None

    async def _keep(self, recording: Recording, sight: Sight) -> bool:
        """Whether the trace is on disk; in either case the call is over, and told of."""
        kept = await self._recorder.keep(recording)
        self._watch.saw(recording.trace, kept, sight)
        return kept


async def _shadowed(deciding: Awaitable[Decision | None]) -> Routing | None:
    decision = await deciding
    return None if decision is None else routing_of(decision, local=False)


def _said(request: Request, name: bytes) -> str | None:
    value = request.header(name)
    return value.decode("latin-1") if value else None

"""One call on its way: to the student or the teacher, onto the disk, and back to its client."""

from __future__ import annotations

import itertools
import json
import logging
import random
import time
import uuid
from typing import Any

from limbeck.capture.elicit.prepare import prepare
from limbeck.capture.recording import Exchange, Recording
from limbeck.capture.skeleton import divide
from limbeck.errors import ConfigError, DataError
from limbeck.models.call import Call
from limbeck.models.dialects.openai_chat import ask_for_usage
from limbeck.models.dialects.table import Dialect
from limbeck.serve.admission import shut_out
from limbeck.serve.assignment import Assignment, assign
from limbeck.serve.counts import Counts
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
from limbeck.serve.student import Answerer, answer_locally, student_recording, write_answer
from limbeck.serve.upstreams import Teacher
from limbeck.serve.watch import Sight, Watch
from limbeck.types import Task

log = logging.getLogger("limbeck.gateway")


class Relay:
    """Answers the calls of one gateway. `setup` is replaced when the configuration changes."""

    def __init__(
        self,
        setup: Setup,
        pool: Pool,
        recorder: Recorder,
        counts: Counts,
        answerer: Answerer | None,
        watch: Watch,
    ) -> None:
        self.setup = setup
        self._watch = watch
        self._inquiry = Inquiry(pool, self._keep, counts)
        self._recorder = recorder
        self._counts = counts
        self._answerer = answerer
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
        if task is not None and task.mode == "cascade":
            answer = await answer_locally(
                self._answerer,
                task,
                call,
                exchange.division,
                self._counts,
                self.setup.settings.student_timeout_s,
            )
            if answer is not None:
                return await self._local(exchange, task, dialect, client, answer, started, sight)
        asking = Asking(exchange, teacher, client, started, sight, self.setup.settings)
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
            request_id=f"req_limbeck_{self._run}{next(self._numbers):08x}",
            at=now(),
            correlation=_said(request, b"x-limbeck-key"),
            subject=_said(request, b"x-limbeck-subject"),
            provider=teacher.provider,
            redactor=self.setup.redactors[task.name if task else None],
        )

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

    async def _local(
        self,
        exchange: Exchange,
        task: Task,
        dialect: Dialect,
        client: Client,
        answer: str,
        started: float,
        sight: Sight,
    ) -> None:
        call = exchange.call
        reply = write_answer(task, answer, exchange.request_id, int(exchange.at.timestamp()))
        recording = student_recording(exchange, task, reply, answer, time.perf_counter() - started)
        kept = await self._keep(recording, sight)
        if not kept and self.setup.settings.on_store_failure == "refuse":
            return refuse(client, dialect, 503, NOT_KEPT)
        self._counts.answered_by_student += 1
        name = exchange.request_id.encode()
        headers = [
            *our_headers(exchange, "student", recording.trace.id if kept else None),
            (b"request-id", name),
            (b"x-request-id", name),
        ]
        if not call.stream:
            said = json.dumps(dialect.write_reply(reply), separators=(",", ":")).encode()
            return client.send(200, [JSON, *headers], said)
        events = dialect.write_stream(reply, with_usage=call.wants_usage)
        client.start(200, [(b"content-type", b"text/event-stream; charset=utf-8"), *headers])
        # One chunk: the answer is there as a whole before the first event is written.
        return client.end(b"".join(events))

    async def _keep(self, recording: Recording, sight: Sight) -> bool:
        """Whether the trace is on disk; in either case the call is over, and told of."""
        kept = await self._recorder.keep(recording)
        self._watch.saw(recording.trace, kept, sight)
        return kept


def _said(request: Request, name: bytes) -> str | None:
    value = request.header(name)
    return value.decode("latin-1") if value else None

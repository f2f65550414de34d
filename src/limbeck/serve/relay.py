"""One call on its way: to the student or the teacher, onto the disk, and back to its client."""

from __future__ import annotations

import itertools
import json
import logging
import random
import time
import uuid
from dataclasses import dataclass
from typing import Any

from limbeck.capture.elicit.prepare import Prepared, how_much, prepare
from limbeck.capture.recording import Exchange, Recording, provenance, record_reply, redacted
from limbeck.capture.skeleton import divide
from limbeck.errors import ConfigError, DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.openai_chat import UsageHider, ask_for_usage
from limbeck.models.dialects.table import Dialect
from limbeck.serve.admission import shut_out
from limbeck.serve.assignment import Assignment, assign
from limbeck.serve.counts import Counts
from limbeck.serve.headers import SIMULATED, to_client
from limbeck.serve.http.client import (
    Asked,
    HangUpError,
    Pool,
    Response,
    SilentError,
    UnreachableError,
)
from limbeck.serve.http.message import RawHeaders, Request
from limbeck.serve.http.server import Client
from limbeck.serve.keys import ClientKey
from limbeck.serve.passage import End, Filter, Keep, Passage, Through
from limbeck.serve.reading import Unpacker, packing, read_json, unpacked
from limbeck.serve.recorder import Recorder, now
from limbeck.serve.route import Route
from limbeck.serve.setup import Setup
from limbeck.serve.student import Answerer, answer_locally, write_answer
from limbeck.serve.upstreams import Teacher
from limbeck.serve.watch import Sight, Watch
from limbeck.types import Elicited, Status, Task, Trace

Failure = (UnreachableError, HangUpError, SilentError)
"""What a teacher that cannot be reached, hangs up or stays silent raises."""
KIND: dict[type[Exception], str] = {
    UnreachableError: "unreachable",
    HangUpError: "hang_up",
    SilentError: "silent",
}
"""What such a failure is called in the metrics."""

log = logging.getLogger("limbeck.gateway")

JSON = (b"content-type", b"application/json")
STATUS: dict[End, Status | None] = {"whole": None, "hang_up": "error", "client_gone": "cut_off"}


@dataclass(slots=True)
class Asking:
    """A call that is being asked of its teacher."""

    exchange: Exchange
    teacher: Teacher
    client: Client
    started: float
    sight: Sight
    own: bytes = b""
    """The request body as it would be without asking for a rationale."""
    prepared: Prepared | None = None
    hides_usage: bool = False

    @property
    def latency_s(self) -> float:
        return time.perf_counter() - self.started


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
        self._pool = pool
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
            return await self._through(request, client, route, teacher)
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
        asking = Asking(exchange, teacher, client, started, sight)
        self._ask_for_more(asking, request, body)
        return await self._remote(asking, request, route)

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
        return await self._through(request, client, route, teacher)

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
            *_ours(exchange, "student", recording.trace.id if kept else None),
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

    def _failed(self, teacher: Teacher, kind: str, what: str) -> None:
        self._counts.teacher_failed(kind, what)
        fields = {"event": "upstream_failed", "upstream": teacher.name, "kind": kind}
        log.warning("%s", what, extra=fields)

    def _refused(self, teacher: Teacher, status: int) -> None:
        self._counts.teacher_refused(status, teacher.name)
        fields = {"event": "upstream_refused", "upstream": teacher.name, "status": status}
        log.warning("a teacher answered with an error", extra=fields)

    # -- the teacher ------------------------------------------------------------------------------

    async def _remote(self, asking: Asking, request: Request, route: Route) -> None:
        client, teacher, exchange = asking.client, asking.teacher, asking.exchange
        data = teacher.request(
            request.method, route.path, route.query, request.headers, request.body, read=True
        )
        try:
            response = await self._response(client, teacher, data, replayable=may_repeat(request))
            exchange.request_id = _request_id(response) or exchange.request_id
            exchange.simulated = response.header(SIMULATED) == b"1"
            kind = response.header(b"content-type") or b""
            if response.status == 200 and kind.lower().startswith(b"text/event-stream"):
                return await self._stream(asking, response)
            body = await response.read(self.setup.settings.max_reply_bytes)
            if response.status == 400 and asking.prepared is not None:
                # What was added may be what the teacher refuses: the client's own call decides.
                asking.prepared = None
                request.body = asking.own
                self._counts.elicit_refused += 1
                return await self._remote(asking, request, route)
        except Failure as error:
            return await self._unreached(asking, error)
        except OverflowError as error:
            return await self._unreached(asking, HangUpError(f"{error}; raise max_reply_bytes"))
        return await self._whole(asking, response, body)

    async def _response(
        self,
        client: Client,
        teacher: Teacher,
        data: bytes,
        *,
        replayable: bool,
        bodiless: bool = False,
    ) -> Response:
        """The reply, when its head is here; a client that goes away ends the request.

        A kept connection that the teacher closes just then is replaced once, if the request may be
        sent twice.
        """
        connection = await self._pool.connection(teacher.origin)
        if client.gone:
            self._pool.give_back(connection)
            raise HangUpError("the client went away")
        reused = connection.reused
        asked: Asked = connection.ask(data, bodiless=bodiless)
        client.on_gone = asked.abort
        try:
            return await asked.response()
        except UnreachableError:
            if not (reused and replayable) or client.gone:
                raise
        connection = await self._pool.connection(teacher.origin, fresh=True)
        asked = connection.ask(data, bodiless=bodiless)
        client.on_gone = asked.abort
        return await asked.response()

    async def _whole(self, asking: Asking, response: Response, data: bytes) -> None:
        """Answer with a reply that came in one piece."""
        exchange, dialect, client = asking.exchange, asking.teacher.dialect, asking.client
        client.on_gone = None
        reply, body = self._read(asking, response, data)
        refused = response.status >= 400
        if refused:
            self._refused(asking.teacher, response.status)
        self._counts.bytes_out += len(data)
        reason = "unreadable" if reply.error is not None else None
        recording = record_reply(
            exchange,
            reply,
            latency_s=asking.latency_s,
            stop_reason=f"http_{response.status}" if refused else reason,
        )
        kept = await self._keep(recording, asking.sight)
        if not kept and self.setup.settings.on_store_failure == "refuse":
            return refuse(client, dialect, 503, NOT_KEPT)
        self._counts.answered_by_teacher += 1
        headers = to_client(response.headers, keep_length=False)
        headers += _ours(exchange, "teacher", recording.trace.id if kept else None)
        return client.send(response.status, headers, body, response.reason)

    def _read(self, asking: Asking, response: Response, data: bytes) -> tuple[Reply, bytes]:
        """The reply as far as it can be read, and the bytes that the client gets."""
        dialect = asking.teacher.dialect
        try:
            body = read_json(unpacked(data, packing(response.header(b"content-encoding"))))
            if response.status >= 400:
                return Reply(text="", error=dialect.read_error(body) or _shown(data)), data
            reply = dialect.read_reply(body)
        except (ValueError, DataError, RecursionError):
            self._counts.unread += 1
            return Reply(text="", error=_shown(data)), data
        if asking.prepared is None:
            return reply, data
        restored = asking.prepared.restore(body)
        asking.exchange.elicited = _elicited(asking.prepared, reply, restored.rationale)
        if restored.body is body:
            return reply, data
        response.headers = without_packing(response.headers)
        return reply, json.dumps(restored.body, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )

    async def _stream(self, asking: Asking, response: Response) -> None:
        exchange, dialect, client = asking.exchange, asking.teacher.dialect, asking.client
        unpacker = _unpacker(response)
        hiders: list[Filter] = [UsageHider()] if asking.hides_usage else []
        restorer = asking.prepared.stream() if asking.prepared is not None else None
        if restorer is not None:
            hiders.append(restorer)

        async def keep(reply: Reply, end: End) -> bool:
            self._counts.answered_by_teacher += 1
            if end == "hang_up":
                self._failed(asking.teacher, "hang_up", "a teacher hung up within a stream")
            self._counts.clients_gone += end == "client_gone"
            if restorer is not None and asking.prepared is not None:
                exchange.elicited = _elicited(asking.prepared, reply, restorer.rationale)
            recording = record_reply(
                exchange,
                reply,
                latency_s=asking.latency_s,
                status=STATUS[end],
                stop_reason=_why_short(client, end),
            )
            kept = await self._keep(recording, asking.sight)
            return kept or self.setup.settings.on_store_failure != "refuse"

        if hiders and unpacker is not None:
            response.headers = without_packing(response.headers)
        headers = to_client(response.headers, keep_length=not hiders)
        headers += _ours(exchange, "teacher", None)
        client.start(response.status, headers, response.reason)
        keeping: Keep = keep
        asking.sight.first_byte_s = asking.latency_s
        self._counts.open_streams += 1
        try:
            await Passage(client, response, dialect.StreamReader(), keeping, hiders, unpacker).run()
        finally:
            self._counts.open_streams -= 1
            self._counts.bytes_out += response.size

    async def _unreached(self, asking: Asking, error: Exception) -> None:
        client = asking.client
        status, what = _failure(error)
        if client.gone:
            self._counts.clients_gone += 1
        else:
            self._failed(asking.teacher, KIND[type(error)], what)
        recording = record_reply(
            asking.exchange,
            Reply(text="", error=what),
            latency_s=asking.latency_s,
            status="cut_off" if client.gone else "error",
            stop_reason=_why_short(client, "client_gone") if client.gone else f"http_{status}",
        )
        await self._keep(recording, asking.sight)
        if not client.gone:
            ours = _ours(asking.exchange, "gateway", None)
            refuse(client, asking.teacher.dialect, status, what, headers=ours)

    async def _through(
        self, request: Request, client: Client, route: Route, teacher: Teacher
    ) -> None:
        data = teacher.request(
            request.method, route.path, route.query, request.headers, request.body, read=False
        )
        self._counts.passed += 1
        bodiless, began = request.method == b"HEAD", False
        try:
            response = await self._response(
                client, teacher, data, replayable=may_repeat(request), bodiless=bodiless
            )
            client.start(response.status, to_client(response.headers), response.reason)
            began = True
            await Through(client, response).run()
            self._counts.bytes_out += response.size
        except Failure as error:
            if client.gone:
                self._counts.clients_gone += 1
                return
            status, what = _failure(error)
            self._failed(teacher, KIND[type(error)], what)
            if not began:
                refuse(client, teacher.dialect, status, what)


NOT_KEPT = "the gateway could not write this call down, and is set to refuse such calls"


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


def refuse(
    client: Client,
    dialect: Dialect,
    status: int,
    message: str,
    *,
    kind: str = "api_error",
    headers: RawHeaders | None = None,
) -> None:
    """Answer with an error of the gateway's own, in the form that the dialect's clients know."""
    body = json.dumps(dialect.write_error(status, kind, message)).encode()
    client.send(status, [JSON, *(headers or ())], body)


def without_packing(headers: RawHeaders) -> RawHeaders:
    """`headers` of a body that is no longer compressed."""
    return [line for line in headers if line[0].lower() != b"content-encoding"]


def _unpacker(response: Response) -> Unpacker | None:
    """What makes a compressed stream readable, where that can be."""
    how = packing(response.header(b"content-encoding"))
    try:
        return Unpacker(how) if how is not None else None
    except ValueError:
        return None


def _elicited(prepared: Prepared, reply: Reply, rationale: str | None) -> Elicited:
    return how_much(prepared, reply.usage, rationale, written=len(reply.text))


def may_repeat(request: Request) -> bool:
    """Whether a request may be sent twice: by its method (RFC 9110, 9.2.2) or because it says so."""
    idempotent = request.method in (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE")
    return idempotent or request.header(b"idempotency-key") is not None


def _why_short(client: Client, end: End) -> str | None:
    """Why a reply has no end, where it has none."""
    if end == "client_gone":
        return "gateway_stopped" if client.was_cut else "client_disconnected"
    return "teacher_hung_up" if end == "hang_up" else None


def _said(request: Request, name: bytes) -> str | None:
    value = request.header(name)
    return value.decode("latin-1") if value else None


def _ours(exchange: Exchange, answered_by: str, trace_id: str | None) -> RawHeaders:
    headers = [
        (b"x-limbeck-request-id", exchange.request_id.encode("latin-1", "replace")),
        (b"x-limbeck-answered-by", answered_by.encode()),
    ]
    if trace_id is not None:
        headers.append((b"x-limbeck-trace-id", trace_id.encode()))
    return headers


def _request_id(response: Response) -> str | None:
    """The provider's own name for the request: what stands in its users' logs already."""
    value = response.header(b"request-id") or response.header(b"x-request-id")
    return value.decode("latin-1") if value else None


def _shown(data: bytes) -> str:
    return data[:500].decode("utf-8", "replace")


def _failure(error: Exception) -> tuple[int, str]:
    if isinstance(error, SilentError):
        return 504, "the gateway's teacher did not answer in time"
    return 502, (
        f"the gateway's teacher could not be reached or hung up ({error}); "
        "check its base URL and the network"
    )

"""A call on its way to the teacher, and the reply onto the disk and back to the client."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from limbeck.capture.elicit.prepare import Prepared, how_much
from limbeck.capture.recording import Exchange, Recording, record_reply
from limbeck.errors import DataError
from limbeck.models.call import Reply
from limbeck.models.dialects.openai_chat import UsageHider
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
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client
from limbeck.serve.passage import End, Filter, Keep, Passage, Through
from limbeck.serve.reading import packing, read_json, unpacked, unpacker_of, without_packing
from limbeck.serve.route import Route
from limbeck.serve.saying import NOT_KEPT, our_headers, refuse
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.upstreams import Teacher
from limbeck.serve.watch import Sight
from limbeck.types import Elicited, Routing, Status, Trace

Failure = (UnreachableError, HangUpError, SilentError)
"""What a teacher that cannot be reached, hangs up or stays silent raises."""
KIND: dict[type[Exception], str] = {
    UnreachableError: "unreachable",
    HangUpError: "hang_up",
    SilentError: "silent",
}
"""What such a failure is called in the metrics."""
STATUS: dict[End, Status | None] = {"whole": None, "hang_up": "error", "client_gone": "cut_off"}

DOWN = frozenset({500, 502, 503, 504, 529})
"""Statuses by which a teacher says that it cannot answer anybody."""

KeepTrace = Callable[[Recording, Sight], Awaitable[bool]]
"""Puts a trace on disk, and says whether it is there."""

log = logging.getLogger("limbeck.gateway")


@dataclass(slots=True)
class Asking:
    """A call that is being asked of its teacher."""

    exchange: Exchange
    teacher: Teacher
    client: Client
    started: float
    sight: Sight
    settings: GatewaySettings
    own: bytes = b""
    """The request body as it would be without asking for a rationale."""
    prepared: Prepared | None = None
    hides_usage: bool = False
    shadow: asyncio.Future[Routing | None] | None = None
    """What the student would have said, in time."""
    instead: Callable[[], Awaitable[None]] | None = None
    """Answers the client where the teacher is down."""
    trace: Trace | None = None
    """What was recorded, once it is on disk."""

    @property
    def latency_s(self) -> float:
        return time.perf_counter() - self.started

    def who(self, answered: str) -> str | None:
        """Who answered, where the client is told."""
        return answered if self.settings.say_who_answered else None


class Inquiry:
    """Asks the teachers of one gateway."""

    def __init__(self, pool: Pool, keep: KeepTrace, counts: Counts) -> None:
        self._pool = pool
        self._keep = keep
        self._counts = counts

    async def ask(self, asking: Asking, request: Request, route: Route) -> None:
        """Ask the teacher, write its reply down and hand it on."""
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
            body = await response.read(asking.settings.max_reply_bytes)
            if response.status == 400 and asking.prepared is not None:
                # What was added may be what the teacher refuses: the client's own call decides.
                asking.prepared = None
                request.body = asking.own
                self._counts.elicit_refused += 1
                return await self.ask(asking, request, route)
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
        kept = await self._write_down(
            asking, reply, stop_reason=f"http_{response.status}" if refused else reason
        )
        if response.status in DOWN and asking.instead is not None:
            return await asking.instead()
        if not kept and asking.settings.on_store_failure == "refuse":
            return refuse(client, dialect, 503, NOT_KEPT)
        self._counts.answered_by_teacher += 1
        headers = to_client(response.headers, keep_length=False)
        headers += our_headers(
            exchange, asking.who("teacher"), asking.trace.id if asking.trace else None
        )
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
        unpacker = unpacker_of(packing(response.header(b"content-encoding")))
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
            kept = await self._write_down(
                asking, reply, status=STATUS[end], stop_reason=_why_short(client, end)
            )
            return kept or asking.settings.on_store_failure != "refuse"

        if hiders and unpacker is not None:
            response.headers = without_packing(response.headers)
        headers = to_client(response.headers, keep_length=not hiders)
        headers += our_headers(exchange, asking.who("teacher"), None)
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
        await self._write_down(
            asking,
            Reply(text="", error=what),
            status="cut_off" if client.gone else "error",
            stop_reason=_why_short(client, "client_gone") if client.gone else f"http_{status}",
        )
        if client.gone:
            return
        if asking.instead is not None:
            await asking.instead()
        else:
            ours = our_headers(asking.exchange, asking.who("gateway"), None)
            refuse(client, asking.teacher.dialect, status, what, headers=ours)

    async def _write_down(
        self,
        asking: Asking,
        reply: Reply,
        *,
        status: Status | None = None,
        stop_reason: str | None = None,
    ) -> bool:
        """Whether the trace of the reply is on disk, with what the student would have said."""
        latency_s = asking.latency_s
        if asking.shadow is not None:
            await self._shadow(asking, asking.shadow)
        recording = record_reply(
            asking.exchange, reply, latency_s=latency_s, status=status, stop_reason=stop_reason
        )
        kept = await self._keep(recording, asking.sight)
        if kept:
            asking.trace = recording.trace
        return kept

    async def _shadow(self, asking: Asking, shadow: asyncio.Future[Routing | None]) -> None:
        """Take down what the student would have said, where it says so in time."""
        await asyncio.wait([shadow], timeout=asking.settings.shadow_wait_s)
        if shadow.done():
            asking.exchange.routing = shadow.result()
        else:
            shadow.cancel()
            self._counts.student_skipped += 1

    async def hand_on(
        self, request: Request, client: Client, route: Route, teacher: Teacher
    ) -> None:
        """Ask the teacher and hand its reply on, unread."""
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

    def _failed(self, teacher: Teacher, kind: str, what: str) -> None:
        self._counts.teacher_failed(kind, what)
        fields = {"event": "upstream_failed", "upstream": teacher.name, "kind": kind}
        log.warning("%s", what, extra=fields)

    def _refused(self, teacher: Teacher, status: int) -> None:
        self._counts.teacher_refused(status, teacher.name)
        fields = {"event": "upstream_refused", "upstream": teacher.name, "status": status}
        log.warning("a teacher answered with an error", extra=fields)


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

"""One call on its way: to the student or the teacher, onto the disk, and back to its client."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

import aiohttp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from limbeck.errors import ConfigError, DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.openai_chat import UsageHider, ask_for_usage
from limbeck.models.dialects.table import Dialect
from limbeck.serve.assignment import Assignment, assign
from limbeck.serve.headers import SIMULATED, RawHeaders, to_client
from limbeck.serve.passage import End, Passage
from limbeck.serve.recorder import Counts, Exchange, Recorder, now, student_trace
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.student import Answerer, answer_locally, write_answer
from limbeck.serve.upstream import Failure, Upstreams, decoded
from limbeck.types import Task

END_REASONS: dict[End, str | None] = {
    "whole": None,
    "hang_up": "teacher_hung_up",
    "client_gone": "client_disconnected",
}


class Relay:
    """Answers the calls of one gateway."""

    def __init__(
        self,
        settings: GatewaySettings,
        tasks: Mapping[str, Task],
        upstreams: Upstreams,
        recorder: Recorder,
        counts: Counts,
        answerer: Answerer | None,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._upstreams = upstreams
        self._recorder = recorder
        self._counts = counts
        self._answerer = answerer

    async def answer(self, request: Request, dialect: Dialect) -> ASGIApp:
        """Answer a call of `dialect`, recorded unless its task says otherwise."""
        started = time.perf_counter()
        try:
            data = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            body = json.loads(data)
            call = dialect.read_request(body)
        except (ValueError, DataError):
            # The teacher explains what is wrong in the words that its clients know.
            self._counts.unread += 1
            return await self._pass(request, dialect, dialect.PATH, data)
        try:
            assigned = self._assign(request, call)
        except ConfigError as error:
            return JSONResponse(dialect.write_error(400, "invalid_request_error", str(error)), 400)
        if assigned.model is not None:
            body = {**body, "model": assigned.model}
            data = json.dumps(body).encode()
        if assigned.task is not None and assigned.task.mode == "off":
            return await self._pass(request, dialect, dialect.PATH, data)
        exchange = Exchange(
            assigned.task,
            call,
            request_id=f"req_{uuid.uuid4().hex}",
            correlation=request.headers.get("x-limbeck-key"),
            at=now(),
        )
        if assigned.task is not None:
            answer = await answer_locally(
                self._answerer,
                assigned.task,
                call,
                self._counts,
                self._settings.student_timeout_s,
            )
            if answer is not None:
                return await self._local(exchange, assigned.task, dialect, answer, started)
        return await self._remote(request, exchange, dialect, body, data, started)

    async def pass_on(self, request: Request, dialect: Dialect, path: str) -> ASGIApp:
        """Hand on what is no call of a task (models, token counts, ...), unread."""
        return await self._pass(request, dialect, path, await request.body())

    def _assign(self, request: Request, call: Call) -> Assignment:
        return assign(
            self._tasks,
            header=request.headers.get("x-limbeck-task"),
            path=request.path_params.get("task"),
            model=call.model,
        )

    async def _local(
        self, exchange: Exchange, task: Task, dialect: Dialect, answer: str, started: float
    ) -> ASGIApp:
        call = exchange.call
        reply = write_answer(task, answer, exchange.request_id, int(exchange.at.timestamp()))
        latency_s = time.perf_counter() - started
        trace = student_trace(exchange, task, reply, answer, latency_s)
        trace_id = await self._recorder.keep(trace)
        self._counts.answered_by_student += 1
        headers = {
            name.decode(): value.decode()
            for name, value in _ours(exchange.request_id, "student", trace_id)
        }
        headers |= {"request-id": exchange.request_id, "x-request-id": exchange.request_id}
        if not call.stream:
            return JSONResponse(dialect.write_reply(reply), headers=headers)
        events = dialect.write_stream(reply, with_usage=call.wants_usage)
        # One chunk: the answer is there as a whole before the first event is written.
        return StreamingResponse(
            iter([b"".join(events)]), headers=headers, media_type="text/event-stream"
        )

    async def _remote(
        self,
        request: Request,
        exchange: Exchange,
        dialect: Dialect,
        body: dict[str, Any],
        data: bytes,
        started: float,
    ) -> ASGIApp:
        call = exchange.call
        upstream = self._settings.upstreams[dialect.NAME]
        hides_usage = call.stream and not call.wants_usage and upstream.streamed_usage
        if hides_usage:
            data = json.dumps(ask_for_usage(body)).encode()
        try:
            response = await self._send(request, dialect, dialect.PATH, data)
            exchange = exchange._replace(request_id=_request_id(response) or exchange.request_id)
            if response.status == 200 and response.content_type == "text/event-stream":
                hider = UsageHider() if hides_usage else None
                return self._stream(exchange, dialect, response, hider, started)
            async with response:
                said = await response.read()
        except Failure as error:
            return await self._unreached(exchange, dialect, error, started)
        latency_s = time.perf_counter() - started
        self._counts.answered_by_teacher += response.status == 200
        self._counts.teacher_refusals += response.status != 200
        reply, stop_reason = self._read_reply(dialect, response, said)
        trace_id = await self._recorder.keep_reply(
            exchange,
            reply,
            latency_s=latency_s,
            simulated=_simulated(response),
            stop_reason=stop_reason,
        )
        answered = Response(said, response.status)
        answered.raw_headers = [
            *to_client(response.raw_headers, same_length=False),
            (b"content-length", str(len(said)).encode()),
            *_ours(exchange.request_id, "teacher", trace_id),
        ]
        return answered

    def _read_reply(
        self, dialect: Dialect, response: aiohttp.ClientResponse, said: bytes
    ) -> tuple[Reply, str | None]:
        """The reply, and the reason that the trace gives where it is none."""
        try:
            body = json.loads(decoded(said, response.headers.get("content-encoding")))
        except ValueError:
            body = None
        if response.status != 200:
            message = dialect.read_error(body) or "error"
            return Reply(text="", error=message), f"http_{response.status}"
        try:
            return dialect.read_reply(body), None
        except (ValueError, DataError) as error:
            self._counts.unread += 1
            return Reply(text=said.decode("utf-8", "replace"), error=str(error)), "unreadable"

    def _stream(
        self,
        exchange: Exchange,
        dialect: Dialect,
        response: aiohttp.ClientResponse,
        hider: UsageHider | None,
        started: float,
    ) -> ASGIApp:
        async def keep(reply: Reply, end: End) -> None:
            self._counts.answered_by_teacher += 1
            self._counts.teacher_failures += end == "hang_up"
            await self._recorder.keep_reply(
                exchange,
                reply,
                latency_s=time.perf_counter() - started,
                simulated=_simulated(response),
                status={"whole": None, "hang_up": "error", "client_gone": "cut_off"}[end],
                stop_reason=END_REASONS[end],
            )

        return Passage(
            response.status,
            [
                *to_client(response.raw_headers, same_length=hider is None),
                *_ours(exchange.request_id, "teacher", None),
            ],
            response.content,
            dialect.StreamReader(),
            keep,
            failures=Failure,
            close=response.close,
            hider=hider,
        )

    async def _unreached(
        self, exchange: Exchange, dialect: Dialect, error: Exception, started: float
    ) -> Response:
        self._counts.teacher_failures += 1
        status, what = _failure(error)
        await self._recorder.keep_reply(
            exchange,
            Reply(text="", error=what),
            latency_s=time.perf_counter() - started,
            stop_reason=f"http_{status}",
        )
        response = _refusal(dialect, status, what)
        response.raw_headers += _ours(exchange.request_id, "gateway", None)
        return response

    async def _pass(self, request: Request, dialect: Dialect, path: str, data: bytes) -> ASGIApp:
        try:
            response = await self._send(request, dialect, path, data)
        except Failure as error:
            self._counts.teacher_failures += 1
            return _refusal(dialect, *_failure(error))
        return Passage(
            response.status,
            to_client(response.raw_headers),
            response.content,
            _Unread(),
            _forget,
            failures=Failure,
            close=response.close,
        )

    async def _send(
        self, request: Request, dialect: Dialect, path: str, data: bytes
    ) -> aiohttp.ClientResponse:
        return await self._upstreams.send(
            dialect,
            request.method,
            path,
            request.scope["query_string"],
            request.headers.raw,
            data,
        )


class _Unread:
    """The reader of a stream that nobody reads."""

    ended = False

    def feed(self, chunk: bytes) -> None:
        pass

    def reply(self) -> Reply:
        return Reply(text="")


async def _forget(reply: Reply, end: End) -> None:
    pass


def _ours(request_id: str, answered_by: str, trace_id: str | None) -> RawHeaders:
    headers = [
        (b"x-limbeck-request-id", request_id.encode("latin-1")),
        (b"x-limbeck-answered-by", answered_by.encode()),
    ]
    if trace_id is not None:
        headers.append((b"x-limbeck-trace-id", trace_id.encode()))
    return headers


def _request_id(response: aiohttp.ClientResponse) -> str | None:
    """The provider's own name for the request: what stands in its users' logs already."""
    return response.headers.get("request-id") or response.headers.get("x-request-id")


def _simulated(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get(SIMULATED.decode()) == "1"


def _failure(error: Exception) -> tuple[int, str]:
    if isinstance(error, TimeoutError):
        return 504, "the gateway's teacher did not answer in time"
    return 502, (
        f"the gateway's teacher could not be reached or hung up ({type(error).__name__}); "
        "check its base URL and the network"
    )


def _refusal(dialect: Dialect, status: int, message: str) -> Response:
    return JSONResponse(dialect.write_error(status, "api_error", message), status)

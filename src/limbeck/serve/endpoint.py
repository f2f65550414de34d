"""One student behind an OpenAI-compatible endpoint: chat, completions and their streams.

The student works in a process of its own, so that writing never stalls the event loop, and requests
that come together share its steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from limbeck.errors import LimbeckError, StudentError, UsageError
from limbeck.models.local.card import read_card
from limbeck.models.local.requests import Piece, Request, Wrote
from limbeck.models.local.worker import Worker
from limbeck.serve.endpoint_forms import (
    Asked,
    AskedChat,
    AskedCompletion,
    chat_choice,
    completion_choice,
    cut,
    finish,
    read,
    usage,
)

LONGEST_BODY = 32 * 1024 * 1024
"""Bytes of a request, at most."""
STREAM = "text/event-stream; charset=utf-8"


def open_endpoint(folder: str, threads: int = 0, batch: int = 64) -> Starlette:
    """The application that serves the student in `folder`; the student is loaded when it starts."""
    endpoint = Endpoint(Path(folder), threads, batch)
    return Starlette(
        routes=[
            Route("/health", endpoint.health),
            Route("/v1/models", endpoint.models),
            Route("/v1/models/{model:path}", endpoint.model),
            Route("/v1/completions", endpoint.completions, methods=["POST"]),
            Route("/v1/chat/completions", endpoint.chat, methods=["POST"]),
        ],
        lifespan=endpoint.lifespan,
    )


class Endpoint:
    """The routes of one student."""

    def __init__(self, folder: Path, threads: int, batch: int) -> None:
        self._card = read_card(folder)
        self._folder, self._threads, self._batch = folder, threads, batch
        self._began = int(time.time())
        self._worker: Worker | None = None
        self.failed = 0
        """Calls that failed for another reason than what was asked."""

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._worker = await asyncio.to_thread(
            Worker, self._folder, threads=self._threads, batch=self._batch
        )
        try:
            yield
        finally:
            await asyncio.to_thread(self._worker.close)

    # -- what it is -------------------------------------------------------------------------------

    async def health(self, request: HttpRequest) -> Response:
        alive = self._worker is not None and self._worker.alive
        said = {
            "status": "ok" if alive else "the student's process has ended",
            "failed": self.failed,
        }
        return JSONResponse(said, 200 if alive else 503)

    async def models(self, request: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: HttpRequest) -> Response:
        if request.path_params["model"] != self._folder.name:
            return _error(404, f"there is no such model; this is {self._folder.name!r}")
        return JSONResponse(self._model())

    def _model(self) -> dict[str, Any]:
        assert self._worker is not None
        return {
            "id": self._folder.name,
            "object": "model",
            "created": self._began,
            "owned_by": "limbeck",
            "max_model_len": self._worker.most_tokens,
        }

    # -- what it does -----------------------------------------------------------------------------

    async def completions(self, request: HttpRequest) -> Response:
        return await self._answer(request, AskedCompletion, "text_completion", completion_choice)

    async def chat(self, request: HttpRequest) -> Response:
        return await self._answer(request, AskedChat, "chat.completion", chat_choice)

    async def _answer(
        self,
        request: HttpRequest,
        kind: type[AskedCompletion] | type[AskedChat],
        name: str,
        write: Callable[[Any, int, Wrote], dict[str, Any]],
    ) -> Response:
        try:
            asked = read(kind, await _body(request))
            if asked.model not in (None, "", self._folder.name):
                return _error(404, f"got model {asked.model!r}; this is {self._folder.name!r}")
            wanted = asked.requests()
            head = {
                "id": f"cmpl-{uuid.uuid4().hex}",
                "object": name,
                "created": int(time.time()),
                "model": self._folder.name,
            }
            if asked.stream:
                return StreamingResponse(self._stream(asked, wanted, head), media_type=STREAM)
            wrote = await self._all(wanted)
        except UsageError as error:
            return _error(400, str(error))
        except StudentError as error:
            alive = self._worker is not None and self._worker.alive
            self.failed += not alive
            return _error(400 if alive else 503, str(error))
        choices = [write(asked, index, one) for index, one in enumerate(wrote)]
        return JSONResponse({**head, "choices": choices, "usage": usage(wrote, asked.n or 1)})

    async def _all(self, wanted: list[Request]) -> list[Wrote]:
        assert self._worker is not None
        futures = [self._worker.submit(one) for one in wanted]
        try:
            return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))
        finally:
            for future in futures:
                future.cancel()

    async def _stream(
        self, asked: Asked, wanted: list[Request], head: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        """Events as the tokens come, of all replies in turn."""
        assert self._worker is not None
        chat = isinstance(asked, AskedChat)
        if chat:
            head = {**head, "object": "chat.completion.chunk"}
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[tuple[int, Piece | Future[Wrote]]] = asyncio.Queue()

        def put(index: int, event: Piece | Future[Wrote]) -> None:
            # The loop may have ended while the student still wrote.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(events.put_nowait, (index, event))

        def telling(index: int) -> Callable[[Piece], None]:
            return lambda piece: put(index, piece)

        def ending(index: int) -> Callable[[Future[Wrote]], None]:
            return lambda done: put(index, done)

        futures = []
        try:
            for index, one in enumerate(wanted):
                future = self._worker.submit(one, telling(index))
                future.add_done_callback(ending(index))
                futures.append(future)
                if chat:
                    yield _event(head, index, {"role": "assistant", "content": ""}, None, chat)
            texts = [_Shown(asked.stops) for _ in wanted]
            wrote: list[Wrote] = []
            while len(wrote) < len(wanted):
                index, event = await events.get()
                if isinstance(event, Piece):
                    text = texts[index].add(event.shown)
                    if text:
                        yield _event(head, index, {"content": text}, None, chat)
                    continue
                done = event.result()
                wrote.append(done)
                text, ended = texts[index].rest()
                if text:
                    yield _event(head, index, {"content": text}, None, chat)
                yield _event(head, index, {}, finish(done.stopped or ended), chat)
            if asked.with_usage:
                yield _data({**head, "choices": [], "usage": usage(wrote, asked.n or 1)})
        except LimbeckError as error:
            yield _data({"error": _said(400, str(error))})
        finally:
            for future in futures:
                future.cancel()
        yield b"data: [DONE]\n\n"


class _Shown:
    """The text of one reply as it is sent: what may be the beginning of a stop is held back."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._hold = max(map(len, stops), default=1) - 1
        self._text = ""
        self._sent = 0

    def add(self, more: str) -> str:
        self._text += more
        text, ended = cut(self._text, self._stops)
        until = len(text) if ended else max(self._sent, len(text) - self._hold)
        new, self._sent = text[self._sent : until], max(self._sent, until)
        return new

    def rest(self) -> tuple[str, bool]:
        text, ended = cut(self._text, self._stops)
        return text[self._sent :], ended


async def _body(request: HttpRequest) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > LONGEST_BODY:
        raise UsageError(f"got a body of {int(length):,} bytes; wanted at most {LONGEST_BODY:,}")
    return await request.body()


def _event(
    head: dict[str, Any], index: int, delta: dict[str, Any], why: str | None, chat: bool
) -> bytes:
    choice: dict[str, Any] = {"index": index, "finish_reason": why, "logprobs": None}
    if chat:
        choice["delta"] = delta
    else:
        choice["text"] = delta.get("content", "")
    return _data({**head, "choices": [choice]})


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _said(status: int, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": message, "type": kind, "param": None, "code": None}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": _said(status, message)}, status)

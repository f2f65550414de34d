"""A stream on its way from the teacher to the client, read as it passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from starlette.types import Message, Receive, Scope, Send

from limbeck.models.call import Reply
from limbeck.models.dialects.table import StreamReader
from limbeck.serve.headers import RawHeaders

End = Literal["whole", "hang_up", "client_gone"]
"""How a stream ended: it was said to the end, the teacher hung up, or the client went away."""


class Source(Protocol):
    """Chunks of bytes; an empty one is the end. Raises one of `failures` if they break off."""

    async def readany(self) -> bytes: ...


class Filter(Protocol):
    """Takes bytes out of a stream."""

    def feed(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...


class Passage:
    """An ASGI response that hands chunks on as they come.

    The chunk that ends the reply waits until `keep` is done, so that a client never holds a whole
    reply that is not on disk. A teacher that hangs up is passed on as such: the response is left
    without its end.
    """

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        source: Source,
        reader: StreamReader,
        keep: Callable[[Reply, End], Awaitable[None]],
        *,
        failures: tuple[type[Exception], ...],
        close: Callable[[], None],
        hider: Filter | None = None,
    ) -> None:
        self._start: Message = {
            "type": "http.response.start",
            "status": status,
            "headers": headers,
        }
        self._source = source
        self._reader = reader
        self._keep = keep
        self._failures = failures
        self._close = close
        self._hider = hider
        self._kept = False
        self._unreadable: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await send(self._start)
            end = await self._pass(gone, send)
            await self._keep_once(end)
            if end == "whole":
                rest = self._hider.close() if self._hider else b""
                await send({"type": "http.response.body", "body": rest, "more_body": False})
        finally:
            gone.cancel()
            self._close()

    async def _pass(self, gone: asyncio.Future[None], send: Send) -> End:
        while True:
            read = asyncio.ensure_future(self._source.readany())
            either: set[asyncio.Future[Any]] = {read, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not read.done():
                read.cancel()
                return "client_gone"
            try:
                chunk = read.result()
            except self._failures:
                return "hang_up"
            if not chunk:
                return "whole"
            self._watch(chunk)
            if self._reader.ended:
                await self._keep_once("whole")
            shown = self._hider.feed(chunk) if self._hider else chunk
            if shown:
                await send({"type": "http.response.body", "body": shown, "more_body": True})

    def _watch(self, chunk: bytes) -> None:
        if self._unreadable is not None:
            return
        try:
            self._reader.feed(chunk)
        except Exception as error:  # noqa: BLE001 - what we cannot read still passes
            self._unreadable = f"{type(error).__name__}: {error}"

    async def _keep_once(self, end: End) -> None:
        if self._kept:
            return
        self._kept = True
        reply = self._reader.reply()
        if self._unreadable is not None:
            reply = reply.model_copy(update={"error": self._unreadable})
        await self._keep(reply, end)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

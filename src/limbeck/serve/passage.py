"""A stream on its way from the teacher to the client, read as it passes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal, Protocol

from limbeck.models.call import Reply
from limbeck.models.dialects.table import StreamReader
from limbeck.serve.http.client import HangUpError, Response, SilentError
from limbeck.serve.http.server import Client
from limbeck.serve.reading import Unpacker

MOST_HELD = 256 * 1024
"""Bytes behind the end of a reply that wait for the disk before their teacher is made to wait too."""

End = Literal["whole", "hang_up", "client_gone"]
"""How a stream ended: it was said to the end, the teacher hung up, or the client went away."""


class Filter(Protocol):
    """Takes bytes out of a stream."""

    def feed(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...


Keep = Callable[[Reply, End], Awaitable[bool]]
"""Puts a reply on disk; False says that its client must not have it."""


class Passage:
    """Hands the chunks of a stream on as they come.

    What ends the reply waits until `keep` is done, so that a client never holds a whole reply that is
    not on disk. A slow client makes its teacher wait. A teacher that hangs up is passed on as such: the
    answer is left without its end.
    """

    def __init__(
        self,
        client: Client,
        response: Response,
        reader: StreamReader,
        keep: Keep,
        hiders: list[Filter],
        unpacker: Unpacker | None = None,
    ) -> None:
        self._client = client
        self._response = response
        self._reader = reader
        self._keep = keep
        self._hiders = hiders
        self._unpacker = unpacker
        self._held: list[bytes] = []
        self._holding = 0
        self._keeping: asyncio.Task[bool] | None = None
        self._kept_whole = False
        self._unreadable: str | None = None

    async def run(self) -> None:
        """Pass the whole stream, whose head has been sent."""
        client, response = self._client, self._response
        client.on_gone = response.abort
        client.on_drained = response.resume
        if client.gone:
            response.abort()
        try:
            await response.pipe(self._pass)
            end: End = "whole"
        except (HangUpError, SilentError):
            end = "client_gone" if client.gone else "hang_up"
        if not client.gone:
            self._show(self._close_hiders())
        allowed = await (self._keeping or self._kept(end))
        if end == "whole" and allowed:
            client.end(self._release())

    def _pass(self, chunk: bytes) -> None:
        plain = self._plain(chunk)
        self._watch(plain)
        if self._hiders:
            chunk = plain
        for hider in self._hiders:
            chunk = hider.feed(chunk)
        if self._reader.ended and self._keeping is None:
            self._keeping = asyncio.ensure_future(self._kept("whole"))
            self._keeping.add_done_callback(self._let_go)
        self._show(chunk)

    def _plain(self, chunk: bytes) -> bytes:
        if self._unpacker is None or self._unreadable is not None:
            return chunk
        try:
            return self._unpacker.feed(chunk)
        except zlib.error as error:
            self._unreadable = f"the stream is not compressed as it says: {error}"
            return chunk

    def _show(self, chunk: bytes) -> None:
        if not chunk:
            return
        if self._keeping is not None and not self._kept_whole:
            self._held.append(chunk)
            self._holding += len(chunk)
            if self._holding > MOST_HELD:
                self._response.pause()
            return
        self._client.write(chunk)
        if not self._client.writable:
            self._response.pause()

    def _let_go(self, keeping: asyncio.Task[bool]) -> None:
        """The end of the reply is on disk, and the client may have it."""
        if not keeping.cancelled() and keeping.exception() is None and keeping.result():
            self._kept_whole = True
            self._client.write(self._release())
            if self._client.writable:
                self._response.resume()
        else:
            self._response.abort()  # the client gets nothing more of it

    def _release(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)

    def _close_hiders(self) -> bytes:
        rest = b""
        for hider in self._hiders:
            rest = (hider.feed(rest) if rest else b"") + hider.close()
        return rest

    def _watch(self, chunk: bytes) -> None:
        if self._unreadable is not None:
            return
        try:
            self._reader.feed(chunk)
        except Exception as error:  # noqa: BLE001 - what we cannot read still passes
            self._unreadable = f"{type(error).__name__}: {error}"

    async def _kept(self, end: End) -> bool:
        reply = self._reader.reply()
        if self._unreadable is not None:
            reply = replace(reply, error=self._unreadable)
        return await self._keep(reply, end)


class Through:
    """Hands the bytes of a reply that nobody reads on as they come."""

    def __init__(self, client: Client, response: Response) -> None:
        self._client = client
        self._response = response

    async def run(self) -> None:
        """Pass the whole reply, whose head has been sent. Raises HangUpError and SilentError."""
        client, response = self._client, self._response
        client.on_gone = response.abort
        client.on_drained = response.resume
        if client.gone:
            response.abort()
        await response.pipe(self._pass)
        client.end()

    def _pass(self, chunk: bytes) -> None:
        self._client.write(chunk)
        if not self._client.writable:
            self._response.pause()

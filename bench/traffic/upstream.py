"""A teacher that costs next to nothing: it answers every request with bytes that were made before.

    cd bench && python -m traffic.upstream      says its port as one line of JSON, ends with SIGTERM

It reads of a request only where it ends, whether a stream is wanted and the behaviour that it asks for.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import re
import signal
from typing import cast

import uvloop

from traffic.wire import (
    BEHAVIOUR_BYTES,
    BEHAVIOUR_STARTS,
    PATHS,
    Behaviour,
    Dialect,
    reply,
    stream,
)

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STREAMED = re.compile(rb'"stream": ?true')


class Teacher(asyncio.Protocol):
    """One connection: requests one after the other, as HTTP/1.1 keeps them."""

    __slots__ = ("_buffer", "_due", "_loop", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = b""
        self._due: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None:
            self._due.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = request_end(self._buffer)
        if end:
            request, self._buffer = self._buffer[:end], self._buffer[end:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        at = request.find(BEHAVIOUR_STARTS)
        if at < 0:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        chat = request.find(b"/chat/completions", 0, request.find(b"\r\n")) > 0
        behaviour, parts = _prepared(
            request[at : at + BEHAVIOUR_BYTES],
            "chat" if chat else "messages",
            _STREAMED.search(request) is not None,
        )
        if behaviour.wait_ms:
            self._later(behaviour.wait_ms, parts, 0, behaviour.every_ms)
        else:
            self._write(parts, 0, behaviour.every_ms)

    def _write(self, parts: list[bytes], index: int, every_ms: int) -> None:
        self._transport.write(parts[index])
        if index + 1 < len(parts):
            self._later(every_ms, parts, index + 1, every_ms)

    def _later(self, ms: int, parts: list[bytes], index: int, every_ms: int) -> None:
        if ms:
            self._due = self._loop.call_later(ms / 1000, self._write, parts, index, every_ms)
        else:
            self._due = self._loop.call_soon(self._write, parts, index, every_ms)


def request_end(buffer: bytes) -> int:
    """Where the first request in `buffer` ends; 0 while it is not whole."""
    head = buffer.find(b"\r\n\r\n") + 4
    if head < 4:
        return 0
    length = _LENGTH.search(buffer, 0, head)
    if length is not None:
        end = head + int(length[1])
        return end if end <= len(buffer) else 0
    if _CHUNKED.search(buffer, 0, head):
        # Bodies of requests here are JSON, in which a line end never stands unescaped.
        last = buffer.find(b"\r\n0\r\n\r\n", head - 2)
        return last + 7 if last > 0 else 0
    return head


@functools.cache
def _prepared(behaviour: bytes, dialect: Dialect, streamed: bool) -> tuple[Behaviour, list[bytes]]:
    asked = Behaviour.read(behaviour)
    return asked, stream(dialect, asked.writes) if streamed else [reply(dialect)]


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Teacher(loop), "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print(json.dumps({"port": port, "paths": PATHS}), flush=True)
    # Nothing here makes cycles; a collection would only show as a slow answer.
    gc.disable()
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())

"""Serving: one task a connection, one request at a time, bytes out as they are given.

Pipelined requests wait for their turn. A client that is silent for too long in the middle of a request,
or that does not take its reply, is disconnected; one that sends nonsense hears so once.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import httptools

from limbeck.serve.http.message import RawHeaders, Request, find, head, reason_of

log = logging.getLogger("limbeck.gateway")

QUEUED = 16
"""Pipelined requests that wait on one connection before it is read no further."""
CUT_S = 5.0
"""Seconds for calls that were cut off at the end to be written down."""
LINGER_S = 5.0
"""Seconds for which a refused client may go on sending: closed at once, it would not see why."""
RESET = struct.pack("ii", 1, 0)
"""The option of a socket that makes its end a reset."""
WRITE_BUFFER = 256 * 1024
"""Bytes that wait for a slow client before its teacher is made to wait too."""


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    headers: int = 64 * 1024
    body: int = 64 * 1024 * 1024
    request_s: float = 60.0
    """The longest that a request may take to arrive."""
    idle_s: float = 75.0
    """The longest that a connection may wait for its next request."""
    stalled_s: float = 120.0
    """The longest that a client may take none of its reply."""


Handler = Callable[[Request, "Client"], Awaitable[None]]


class Client(asyncio.Protocol):
    """One connection, and the way to answer on it.

    A handler answers a request with `send`, or with `start`, `write` and `end`; where it does neither
    to the end, the connection is closed so that the client sees a broken reply and not a short one.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: collections.deque[Request] = collections.deque()
        self._wake: asyncio.Future[None] | None = None
        self._reset()
        self._request: Request | None = None
        self._chunked = False
        self._begun = False
        self._ended = False
        self._paused = False
        self._refused: tuple[int, str] | None = None
        self._written = self._taken = 0
        self._taken_at = self._loop.time()
        self._over = False
        self.busy = False
        self.gone = False
        self.was_cut = False
        self.deadline = self._loop.time() + self._limits.request_s
        self.on_gone: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None

    # -- the connection ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have this interface and not this class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._server.clients.add(self)
        self.task = self._loop.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            return
        self._size += len(data)
        pieces = [memoryview(data)]
        while pieces and self._refused is None:
            piece = pieces.pop()
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                pieces += [piece[upgrade.args[0] :], memoryview(self._stay())]
            except httptools.HttpParserError as error:
                self._refuse(400, f"this is not HTTP/1.1: {error}")
        # What has come of a message is weighed once a piece, so that it may exceed by one piece.
        limits = self._limits
        if not self._whole_head and self._size > limits.headers:
            self._refuse(431, f"the head is longer than {limits.headers:,} bytes")
        elif self._size > limits.body + limits.headers:
            self._refuse(413, f"the body is longer than {limits.body:,} bytes")

    def _stay(self) -> bytes:
        """Pass over an offer to change the protocol (RFC 9110, 7.8); the parser stopped at its head.

        The head as it would have been without.
        """
        offered = self._waiting.pop()
        if offered.method == b"CONNECT":
            self._refuse(405, "CONNECT is for proxies; this is a gateway")
        kept = [(name, value) for name, value in offered.headers if name.lower() != b"upgrade"]
        line = b"%b %b HTTP/%b" % (offered.method, offered.target, offered.version.encode())
        self._parser = httptools.HttpRequestParser(self)
        return head(line, kept)

    def eof_received(self) -> None:
        # A client that only ends its side looks like one that went away, whose teacher must stop.
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._wake_up()
        self._drained()
        if self.on_gone is not None:
            self.on_gone()
        self._leave()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._drained()

    def _drained(self) -> None:
        if self.on_drained is not None:
            self.on_drained()

    # -- what the parser says ---------------------------------------------------------------------

    def _reset(self) -> None:
        self._target = b""
        self._headers: RawHeaders = []
        self._lines: RawHeaders = []
        self._body: list[bytes] = []
        self._size = 0
        self._whole_head = False
        self._expects = False

    def on_message_begin(self) -> None:
        self._reset()
        self.deadline = self._loop.time() + self._limits.request_s

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        # What comes after the body as trailers is collected apart, and passed over.
        self._headers, self._lines = self._lines, []
        self._whole_head = True
        length = find(self._headers, b"content-length")
        coding = find(self._headers, b"transfer-encoding")
        if length is not None and int(length) > self._limits.body:
            self._refuse(413, f"the body is longer than {self._limits.body:,} bytes")
        elif coding is not None and coding.lower() != b"chunked":
            self._refuse(501, "the one transfer-encoding that is known here is chunked")
        elif find(self._headers, b"expect") is not None:
            self._expects = self._parser.get_http_version() != "1.0"
            if not self.busy and not self._waiting:
                self._continue()

    def _continue(self) -> None:
        """Let a client that asks first send its body."""
        if self._expects:
            self._expects = False
            self._put(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._refused is not None:
            return
        parser = self._parser
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._waiting.append(
            Request(
                parser.get_method(),
                self._target,
                self._headers,
                body,
                version=parser.get_http_version(),
                keep_alive=parser.should_keep_alive(),
            )
        )
        self._body = []
        self._size = 0
        self._expects = False
        if len(self._waiting) > QUEUED:
            self._transport.pause_reading()
        self._wake_up()

    def _refuse(self, status: int, why: str) -> None:
        if self._refused is None:
            self._refused = (status, why)
        self._transport.pause_reading()
        self._wake_up()

    # -- answering --------------------------------------------------------------------------------

    @property
    def writable(self) -> bool:
        """Whether the client takes what it is sent; else `on_drained` is called when it does again."""
        return not self._paused or self.gone

    def send(
        self, status: int, headers: RawHeaders, body: bytes, reason: bytes | None = None
    ) -> None:
        """Answer with a whole body, whose length is stated here."""
        assert self._request is not None
        if status in (204, 304):
            kept, body = headers, b""
        else:
            kept = [*headers, (b"content-length", b"%d" % len(body))]
        if self._request.method == b"HEAD":
            body = b""
        self._begun = self._ended = True
        self._put(self._head(status, kept, reason) + body)

    def start(self, status: int, headers: RawHeaders, reason: bytes | None = None) -> None:
        """Begin an answer whose body follows. Without a `content-length` it is sent in chunks."""
        assert self._request is not None
        has_length = any(name.lower() == b"content-length" for name, _ in headers)
        bodiless = self._request.method == b"HEAD" or status in (204, 304)
        self._chunked = not has_length and not bodiless and self._request.version == "1.1"
        self._framed = has_length or self._chunked
        self._bodiless = bodiless
        if self._chunked:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        elif not has_length and not bodiless:
            self._request.keep_alive = False
        self._begun = True
        self._put(self._head(status, headers, reason))

    def write(self, data: bytes) -> None:
        """Send a part of the body."""
        if not data or self.gone or self._bodiless:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._put(data)

    def end(self, data: bytes = b"") -> None:
        """Send the last part of the body, which may be empty."""
        self._ended = True
        if self.gone or self._bodiless:
            return
        if self._chunked:
            last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
            self._put(last)
        elif data:
            self._put(data)

    def _put(self, data: bytes) -> None:
        # A connection may have ended, and its transport raise, before `connection_lost` says so.
        if not self._transport.is_closing():
            self._written += len(data)
            self._transport.write(data)

    def _head(self, status: int, headers: RawHeaders, reason: bytes | None) -> bytes:
        assert self._request is not None
        if not self._request.keep_alive or self._server.stopping:
            self._request.keep_alive = False
            headers = [*headers, (b"connection", b"close")]
        elif self._request.version == "1.0":
            headers = [*headers, (b"connection", b"keep-alive")]
        words = reason_of(status) if reason is None else reason
        return head(b"HTTP/1.1 %d %b" % (status, words), headers)

    # -- one request after the other --------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                request = await self._next()
                if request is None:
                    break
                self._request = request
                self._begun = self._ended = self._chunked = self._framed = self._bodiless = False
                self.busy = True
                await self._answer(request)
                self.busy = False
                self.on_gone = self.on_drained = None
                if not (self._ended and request.keep_alive):
                    break
                self.deadline = self._loop.time() + self._limits.idle_s
        finally:
            self.busy = False
            self._over = True
            self._close()
            self._leave()

    def _close(self) -> None:
        """End the connection when what was sent is out."""
        if self._transport.is_closing():
            return
        if self._begun and not self._ended and not self._framed:
            # A plain end would look like the end of the body.
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()
        elif self._refused is not None:
            # Closed with bytes unread, the connection is reset, and the reply lost on its way.
            self.deadline = self._loop.time() + LINGER_S
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()

    def _leave(self) -> None:
        if self.gone and self._over:
            self._server.left(self)

    async def _next(self) -> Request | None:
        while not self._waiting:
            if self.gone or (self._server.stopping and not self._refused):
                return None
            if self._refused is not None:
                status, why = self._refused
                self._request = Request(b"", b"", [], b"", keep_alive=False)
                self.send(status, [(b"content-type", b"text/plain; charset=utf-8")], why.encode())
                return None
            self._continue()
            self._wake = self._loop.create_future()
            await self._wake
        full = len(self._waiting) == QUEUED and self._refused is None
        if full and not self._transport.is_closing():
            self._transport.resume_reading()
        return self._waiting.popleft()

    async def _answer(self, request: Request) -> None:
        try:
            await self._server.handler(request, self)
        except Exception:  # the boundary of the server: one call's failure ends at its client
            self._server.failed += 1
            log.exception("a call failed in the gateway itself")
            if not self._begun and not self.gone:
                message = b"the gateway failed on this call; its log says why"
                self.send(500, [(b"content-type", b"text/plain; charset=utf-8")], message)

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def check(self, now: float) -> None:
        """Disconnect a client that is silent, or takes nothing, for too long."""
        unsent = self._transport.get_write_buffer_size()
        taken = self._written - unsent
        if not unsent or taken > self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at > self._limits.stalled_s:
            self._transport.abort()
        if not unsent and not self.busy and now > self.deadline:
            self._transport.abort()

    def cut(self) -> None:
        """End the connection at once."""
        self.was_cut = True
        self._transport.abort()

    def stop(self) -> None:
        """Take no further request; a reply that is on its way goes out."""
        self._wake_up()


class Server:
    """Listens on a socket and hands each request to `handler`."""

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self.handler = handler
        self.limits = limits or Limits()
        self.clients: set[Client] = set()
        self.stopping = False
        self.failed = 0
        """Calls that failed in the gateway itself."""
        self._empty: asyncio.Event | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to take requests."""
        self.loop = asyncio.get_running_loop()
        self._server = await self.loop.create_server(
            lambda: Client(self), sock=listener, backlog=2048
        )
        self._sweep = self.loop.call_later(1.0, self._check)

    def left(self, client: Client) -> None:
        self.clients.discard(client)
        if self._empty is not None and not self.clients:
            self._empty.set()

    def _check(self) -> None:
        now = self.loop.time()
        for client in list(self.clients):
            client.check(now)
        self._sweep = self.loop.call_later(1.0, self._check)

    def hurry(self) -> None:
        """Let `stop` wait no longer."""
        if self._empty is not None:
            self._empty.set()

    async def stop(self, within_s: float) -> int:
        """Take no new request, let those on their way end; how many were cut off after `within_s`."""
        self.stopping = True
        self._server.close()
        self._empty = asyncio.Event()
        for client in list(self.clients):
            client.stop()
        if self.clients:
            try:
                async with asyncio.timeout(within_s):
                    await self._empty.wait()
            except TimeoutError:
                pass
        cut = [client for client in self.clients if client.busy]
        for client in list(self.clients):
            client.cut()
        if cut:
            # What came of them is still written down.
            await asyncio.wait([client.task for client in cut], timeout=CUT_S)
        self._sweep.cancel()
        return len(cut)

"""Asking: pooled connections to the upstreams, bytes in and bytes out.

A connection carries one request at a time. One that was idle is used again only while it is fresh, so
that a server hardly ever closes it under a request.
"""

from __future__ import annotations

import asyncio
import collections
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

from limbeck.serve.http.message import RawHeaders, find

FRESH_S = 4.0
"""Seconds that an idle connection is kept: servers close theirs after five or more."""
READ_BUFFER = 256 * 1024
"""Bytes of a reply that wait for their reader before its server is made to wait."""
LONGEST_HEAD = 256 * 1024
"""Bytes of a reply before its body."""


class UnreachableError(Exception):
    """No connection, or one that failed before a reply began."""


class HangUpError(Exception):
    """A reply that broke off."""


class SilentError(Exception):
    """A server that said nothing for too long."""


@dataclass(frozen=True)
class Origin:
    """Where a base URL leads. `path` is what stands in it behind the host."""

    host: str
    port: int
    secure: bool
    path: bytes
    authority: bytes

    @classmethod
    def of(cls, base_url: str) -> Origin:
        parts = urlsplit(base_url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        authority = parts.netloc.rpartition("@")[2].encode(
            "idna" if not parts.netloc.isascii() else "ascii"
        )
        path = parts.path.rstrip("/").encode()
        return cls(parts.hostname or "", port, secure, path, authority)


class Response:
    """A reply whose head is here; its body is read whole, or piped on as it comes."""

    __slots__ = (
        "_by_name",
        "_connection",
        "_done",
        "_error",
        "_parts",
        "_sink",
        "_waiter",
        "headers",
        "reason",
        "size",
        "status",
    )

    def __init__(
        self, connection: Connection, status: int, reason: bytes, headers: RawHeaders
    ) -> None:
        self._connection: Connection | None = connection
        self.status = status
        self.reason = reason
        self.headers = headers
        self.size = 0
        self._by_name: dict[bytes, bytes] | None = None
        self._parts: list[bytes] = []
        self._done = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Callable[[bytes], None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """The value of the header called `name` (in lower case), the last of several; or None."""
        if self._by_name is None:
            self._by_name = {name.lower(): value for name, value in self.headers}
        return self._by_name.get(name)

    @property
    def done(self) -> bool:
        return self._done

    async def read(self, most: int) -> bytes:
        """The whole body. Raises HangUpError, SilentError, and OverflowError beyond `most` bytes."""
        self.resume()
        while not self._done and self.size <= most:
            await self._more()
        if self.size > most:
            self.abort()
            raise OverflowError(f"the reply is longer than {most:,} bytes")
        if self._error is not None:
            raise self._error
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    async def pipe(self, sink: Callable[[bytes], None]) -> None:
        """Call `sink` with each piece of the body as it comes; returns when the body is whole.

        Raises HangUpError and SilentError.
        """
        if self._parts:
            parts, self._parts = self._parts, []
            sink(b"".join(parts))
        self._sink = sink
        self.resume()
        while not self._done:
            await self._more()
        if self._error is not None:
            raise self._error

    def pause(self) -> None:
        """Let the server wait: its reply is not taken as fast as it comes."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def abort(self) -> None:
        """End it here: the connection is closed, so that the server stops working."""
        if self._connection is not None:
            self._connection.abort()

    async def _more(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    # -- called by the connection -----------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        if self._sink is not None:
            self._sink(data)
            return
        self._parts.append(data)
        # A body that is read whole is bounded by its reader; one that nobody reads yet waits.
        self._wake()
        if self._waiter is None and self.size > READ_BUFFER:
            self.pause()

    def finish(self, error: Exception | None = None) -> None:
        if not self._done:
            self._done = True
            self._error = error
            self._connection = None
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Asked:
    """A request that is on its way."""

    __slots__ = ("_connection", "_head")

    def __init__(self, connection: Connection, head: asyncio.Future[Response]) -> None:
        self._connection = connection
        self._head = head

    async def response(self) -> Response:
        """The reply, once its head is here. Raises UnreachableError, HangUpError and SilentError."""
        return await self._head

    def abort(self) -> None:
        """Give the request up. Does nothing when its reply is whole: the connection may be another's."""
        if self._connection.carries(self._head):
            self._connection.abort()


class Connection(asyncio.Protocol):
    """One connection to one upstream, and the reply that comes over it."""

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self._pool = pool
        self.origin = origin
        self._head: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._paused = False
        self._keep = False
        self.closed = False
        self.reused = False
        self._parser = httptools.HttpResponseParser(self)
        self._begin()
        self.idle_since = 0.0
        self.silent_since = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have this interface and not this class.
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, data: bytes, *, bodiless: bool = False) -> Asked:
        """Send a request. `bodiless` says that its reply has a head only, whatever that announces."""
        self._bodiless = bodiless
        self._begin()
        self._response = None
        self._head = self._pool.loop.create_future()
        self.silent_since = self._pool.loop.time()
        if self.ended:
            self._head.set_exception(UnreachableError("the connection ended before the request"))
        else:
            self._transport.write(data)
        return Asked(self, self._head)

    @property
    def ended(self) -> bool:
        """Whether the connection is no more; its transport knows, and raises, before we are told."""
        return self.closed or self._transport.is_closing()

    # -- what the parser says ---------------------------------------------------------------------

    def _begin(self) -> None:
        self._reason = b""
        self._lines: RawHeaders = []
        self._size = 0
        self._body: list[bytes] = []
        self._whole = False
        self._strange = False

    def on_message_begin(self) -> None:
        if self._whole:
            self._strange = True  # behind the reply comes what nobody asked for

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        if status < 200:
            raise ValueError(f"a status of {status}")
        if self._head is None or self._response is not None:
            raise ValueError("a reply that nobody asked for")
        # What comes after the body as trailers is collected apart, and passed over.
        headers, self._lines = self._lines, []
        self._response = Response(self, status, self._reason, headers)
        if not self._head.done():
            self._head.set_result(self._response)
        if self._bodiless:
            # The parser would wait for the body that the head announces: this connection ends here.
            self._response.finish()
            self._transport.abort()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._response is None:
            self._begin()  # an interim reply: the real one follows
            return
        self._whole = True
        self._keep = self._parser.should_keep_alive()

    # -- the connection ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._head is None or (self._response is not None and self._response.done):
            # Bytes that no request asked for: what follows them cannot be trusted.
            self.closed = True
            self._transport.abort()
            return
        self.silent_since = self._pool.loop.time()
        self._size += len(data)
        wrong: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            wrong = error
        response = self._response
        if response is not None and self._body:
            body, self._body = self._body, []
            response.feed(body[0] if len(body) == 1 else b"".join(body))
        if self._whole and response is not None:
            self._done(keep=self._keep and wrong is None and not self._strange)
        elif wrong is not None:
            self._fail(HangUpError(f"the reply is not HTTP/1.1: {wrong}"))
        elif response is None and self._size > LONGEST_HEAD:
            self._fail(HangUpError(f"the head is longer than {LONGEST_HEAD:,} bytes"))

    def _done(self, *, keep: bool) -> None:
        response, self._response, self._head = self._response, None, None
        self.silent_since = float("inf")
        assert response is not None
        if keep and not self._paused:
            self._pool.give_back(self)
        else:
            self._transport.close()
        response.finish()

    def _fail(self, error: Exception) -> None:
        if self._response is not None:
            self._response.finish(error)
        elif self._head is not None and not self._head.done():
            self._head.set_exception(error)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._pool.forget(self)
        response = self._response
        if response is not None and not response.done:
            # Without a length, the end of the connection is the end of the body.
            whole = exc is None and not _framed(response)
            response.finish(None if whole else HangUpError("the connection ended within the reply"))
        elif self._head is not None and not self._head.done():
            self._head.set_exception(UnreachableError("the connection ended before a reply"))

    def check(self, now: float, silence_s: float) -> None:
        """End a wait that is too long."""
        if not self._paused and now - self.silent_since > silence_s:
            self._fail(SilentError(f"silent for {silence_s:g} seconds"))

    def pause(self) -> None:
        if not self._paused and not self.ended:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and not self.ended:
            self._paused = False
            self.silent_since = self._pool.loop.time()
            self._transport.resume_reading()

    def abort(self) -> None:
        self._fail(HangUpError("given up"))

    def close(self) -> None:
        self._transport.close()

    def carries(self, head: asyncio.Future[Response]) -> bool:
        """Whether the request with that `head` is the one under way."""
        return self._head is head


class Pool:
    """The connections to all upstreams."""

    def __init__(self, *, connect_s: float, silence_s: float) -> None:
        self._connect_s = connect_s
        self._silence_s = silence_s
        self._idle: dict[tuple[str, int, bool], collections.deque[Connection]] = {}
        self._all: set[Connection] = set()
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])

    def open(self) -> None:
        """Begin to watch over the connections, in the running loop."""
        self.loop = asyncio.get_running_loop()
        self._sweep = self.loop.call_later(1.0, self._check)

    async def connection(self, origin: Origin, *, fresh: bool = False) -> Connection:
        """A connection that is free, or a new one; with `fresh` a new one in any case.

        Raises UnreachableError and SilentError.
        """
        kept = None if fresh else self._take(origin)
        return kept or await self._connect(origin)

    def give_back(self, connection: Connection) -> None:
        connection.idle_since = self.loop.time()
        connection.reused = True
        self._idle.setdefault(_key(connection.origin), collections.deque()).append(connection)

    def forget(self, connection: Connection) -> None:
        self._all.discard(connection)

    def close(self) -> None:
        self._sweep.cancel()
        for connection in list(self._all):
            connection.close()

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(_key(origin))
        now = self.loop.time()
        while idle:
            connection = idle.pop()
            if connection.ended:
                continue
            if now - connection.idle_since < FRESH_S:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin) -> Connection:
        try:
            async with asyncio.timeout(self._connect_s):
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self, origin),
                    origin.host,
                    origin.port,
                    ssl=self._tls if origin.secure else None,
                )
        except TimeoutError:
            raise SilentError(f"no connection within {self._connect_s:g} seconds") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no name
            said = error.strerror if isinstance(error, OSError) else str(error)
            raise UnreachableError(said or type(error).__name__) from error
        self._all.add(connection)
        return connection

    def _check(self) -> None:
        now = self.loop.time()
        for connection in list(self._all):
            connection.check(now, self._silence_s)
        for idle in self._idle.values():
            while idle and now - idle[0].idle_since > FRESH_S:
                idle.popleft().close()
        self._sweep = self.loop.call_later(1.0, self._check)


def _framed(response: Response) -> bool:
    """Whether the head says where the body ends."""
    return any(find(response.headers, name) for name in (b"content-length", b"transfer-encoding"))


def _key(origin: Origin) -> tuple[str, int, bool]:
    return origin.host, origin.port, origin.secure

"""The client at its sockets: upstreams that do as they should, and those that do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from limbeck.serve.http.client import (
    LONGEST_HEAD,
    HangUpError,
    Origin,
    Pool,
    Response,
    SilentError,
    UnreachableError,
)

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Script = Callable[[socket.socket], object]


@dataclass
class Upstream:
    """Runs the next script with each connection; `taken` counts them."""

    url: str = ""
    scripts: list[Script] = field(default_factory=list)
    taken: int = 0


def heard(connection: socket.socket) -> bool:
    """Wait for a request; False at the end of the connection."""
    came = b""
    while not came.endswith(b"\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            return False
        came += data
    return True


def says(*parts: bytes, close: bool = True) -> Script:
    """Answers one request with `parts`, each on its own, then closes or waits for the end."""

    def script(connection: socket.socket) -> None:
        heard(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        if not close:
            connection.recv(1)

    return script


def says_on(*replies: bytes) -> Script:
    """Answers one request after the other on one connection."""

    def script(connection: socket.socket) -> None:
        for reply in replies:
            if not heard(connection):
                return
            connection.sendall(reply)
        connection.recv(1)

    return script


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket, script: Script) -> None:
        with connection, contextlib.suppress(ConnectionError):
            script(connection)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    script = made.scripts[min(made.taken, len(made.scripts) - 1)]
                    made.taken += 1
                    threads.append(threading.Thread(target=serve, args=(connection, script)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()


def asked(
    url: str,
    then: Callable[[Pool, Origin], Awaitable[Any]],
    *,
    connect_s: float = 5.0,
    silence_s: float = 5.0,
) -> Any:
    """What `then` gives with a pool of its own, in a loop like the gateway's."""

    async def run() -> Any:
        pool = Pool(connect_s=connect_s, silence_s=silence_s)
        pool.open()
        try:
            return await then(pool, Origin.of(url))
        finally:
            pool.close()
            await asyncio.sleep(0)

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


async def ask(pool: Pool, origin: Origin, *, bodiless: bool = False) -> Response:
    connection = await pool.connection(origin)
    return await connection.ask(ASK, bodiless=bodiless).response()


async def whole(pool: Pool, origin: Origin) -> tuple[int, bytes]:
    response = await ask(pool, origin)
    return response.status, await response.read(2**26)


async def both(pool: Pool, origin: Origin) -> list[Any]:
    """Two calls, one after the other."""
    return [await whole(pool, origin), await whole(pool, origin)]


# ---- replies that are whole ---------------------------------------------------------------------

WHOLE = {
    "by length": [OK],
    "byte by byte": [OK[n : n + 1] for n in range(len(OK))],
    "in chunks": [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n",
        b"1\r\nk\r\n0\r\nx-t: 1\r\n\r\n",
    ],
    "by the end": [b"HTTP/1.1 200 OK\r\n\r\no", b"k"],
    "by the end, first version": [b"HTTP/1.0 200 OK\r\n\r\n", b"ok"],
    "after interim replies": [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n",
        OK,
    ],
    "interim and real in one": [b"HTTP/1.1 102 Processing\r\nx: 1\r\n\r\n" + OK],
}


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_a_reply_is_read_however_its_end_is_told(upstream: Upstream, kind: str) -> None:
    upstream.scripts = [says(*WHOLE[kind])]
    assert asked(upstream.url, whole) == (200, b"ok")


def test_the_head_of_an_interim_reply_is_not_the_reply_s(upstream: Upstream) -> None:
    upstream.scripts = [says(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK)]
    response = asked(upstream.url, ask)
    assert (response.status, response.reason) == (200, b"OK")
    assert response.headers == [(b"content-length", b"2")]


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_reply_without_a_body_ends_with_its_head(upstream: Upstream, status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\netag: 1\r\n\r\n"
    upstream.scripts = [says(head, close=False)]
    assert asked(upstream.url, whole)[1] == b""


def test_the_reply_to_head_has_no_body_whatever_it_announces(upstream: Upstream) -> None:
    upstream.scripts = [says(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", close=False)]

    async def then(pool: Pool, origin: Origin) -> bytes:
        return await (await ask(pool, origin, bodiless=True)).read(10)

    assert asked(upstream.url, then) == b""


def test_a_large_reply_that_comes_at_once_is_read_whole(upstream: Upstream) -> None:
    size = 20_000_000
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size
    upstream.scripts = [says(head + b"a" * size)]

    async def late(pool: Pool, origin: Origin) -> int:
        response = await ask(pool, origin)
        # Much of it is here before anybody reads.
        while not response._connection or not response._connection._paused:
            await asyncio.sleep(0)
        return len(await response.read(2 * size))

    assert asked(upstream.url, late) == size


def test_a_paused_reply_comes_no_further_and_then_goes_on(upstream: Upstream) -> None:
    size = 50_000_000
    sent = threading.Event()

    def script(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        connection.sendall(b"a" * size)
        sent.set()

    upstream.scripts = [script]

    async def then(pool: Pool, origin: Origin) -> tuple[int, bool]:
        response = await ask(pool, origin)
        pieces: list[int] = []

        def sink(data: bytes) -> None:
            pieces.append(len(data))
            if len(pieces) == 1:
                response.pause()
                pool.loop.call_later(1.5, resume)

        def resume() -> None:
            stopped.append(not sent.is_set() and sum(pieces) < 5_000_000)
            response.resume()

        stopped: list[bool] = []
        await response.pipe(sink)
        return sum(pieces), stopped[0]

    # Its silence is not the server's: it lasts longer than a server may be silent.
    assert asked(upstream.url, then, silence_s=1.0) == (size, True)


# ---- connections --------------------------------------------------------------------------------


def test_a_connection_is_used_again(upstream: Upstream) -> None:
    upstream.scripts = [says_on(OK, OK)]
    assert asked(upstream.url, both) == [(200, b"ok")] * 2
    assert upstream.taken == 1


ENDS = {
    "it says close": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    "it is of the first version": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "garbage comes behind it": OK + b"garbage",
    "another reply comes behind it": OK + b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad",
    "half a reply comes behind it": OK + b"HTTP/1.1 200 OK\r\nx-bad: ",
    "it is longer than it says": OK + b"ok",
}


@pytest.mark.parametrize("kind", sorted(ENDS))
def test_a_connection_is_not_used_again_where(upstream: Upstream, kind: str) -> None:
    upstream.scripts = [says_on(ENDS[kind], b"bad"), says_on(OK)]
    assert asked(upstream.url, both) == [(200, b"ok")] * 2
    assert upstream.taken == 2


def test_what_an_idle_connection_says_is_nobody_s_reply(upstream: Upstream) -> None:
    spoken = threading.Event()

    def script(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(OK)
        spoken.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")
        connection.recv(1)

    upstream.scripts = [script, says_on(OK)]

    async def then(pool: Pool, origin: Origin) -> list[Any]:
        first = await whole(pool, origin)
        [connection] = pool._all
        spoken.set()
        while not connection.closed:
            await asyncio.sleep(0)
        return [first, await whole(pool, origin)]

    assert asked(upstream.url, then) == [(200, b"ok")] * 2


def test_an_idle_connection_that_its_server_closed_is_not_used_again(upstream: Upstream) -> None:
    upstream.scripts = [says(OK), says(OK)]

    async def then(pool: Pool, origin: Origin) -> list[Any]:
        first = await whole(pool, origin)
        while pool._all:
            await asyncio.sleep(0)
        return [first, await whole(pool, origin)]

    assert asked(upstream.url, then) == [(200, b"ok")] * 2


def test_a_stale_connection_is_closed(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.serve.http.client.FRESH_S", 0.0)
    upstream.scripts = [says_on(OK, OK)]
    assert asked(upstream.url, both) == [(200, b"ok")] * 2
    assert upstream.taken == 2


# ---- replies that break off or are none ---------------------------------------------------------

BROKEN = {
    "it is short": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
    "its chunks have no end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    "a chunk is garbage": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "it is garbage": b"\x00\x01\x02garbage\r\n\r\n",
    "it is another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "its head ends in the middle": b"HTTP/1.1 200 OK\r\ncontent-le",
    "it says nothing": b"",
    "it has two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
    "it has both lengths": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "its length is none": b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok",
    "it changes the protocol": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "its status is none": b"HTTP/1.1 099 What\r\ncontent-length: 2\r\n\r\nok",
    "its head has bare LFs": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "its header is folded": b"HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok",
    "its head never ends": b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * (LONGEST_HEAD * 3),
    "only interim replies come": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_a_reply_is_an_error_where(upstream: Upstream, kind: str) -> None:
    upstream.scripts = [says(BROKEN[kind])]
    with pytest.raises((HangUpError, UnreachableError)):
        asked(upstream.url, whole)


def test_a_head_in_pieces_with_a_large_body_behind_it_is_not_too_long(upstream: Upstream) -> None:
    size = LONGEST_HEAD * 4
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % size
    pieces = [head[:10], head[10:] + b"\r\n" + b"a" * size]
    upstream.scripts = [says(*pieces)]
    assert len(asked(upstream.url, whole)[1]) == size


def test_a_reset_before_the_reply_is_no_reply(upstream: Upstream) -> None:
    def script(connection: socket.socket) -> None:
        heard(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    upstream.scripts = [script]
    with pytest.raises(UnreachableError):
        asked(upstream.url, whole)


def test_a_reset_within_a_body_without_length_is_no_end(upstream: Upstream) -> None:
    def script(connection: socket.socket) -> None:
        says(b"HTTP/1.0 200 OK\r\n\r\nok")(connection)
        taken.wait(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    taken = threading.Event()
    upstream.scripts = [script]

    async def then(pool: Pool, origin: Origin) -> None:
        response = await ask(pool, origin)
        taken.set()
        await response.read(100)

    with pytest.raises(HangUpError):
        asked(upstream.url, then)


def test_a_reply_that_is_longer_than_wanted_is_given_up(upstream: Upstream) -> None:
    upstream.scripts = [says(OK, close=False)]

    async def then(pool: Pool, origin: Origin) -> None:
        await (await ask(pool, origin)).read(1)

    with pytest.raises(OverflowError, match="longer than 1 bytes"):
        asked(upstream.url, then)


# ---- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]])
def test_a_server_that_falls_silent_is_given_up(upstream: Upstream, begun: bytes) -> None:
    upstream.scripts = [says(begun, close=False)]
    with pytest.raises(SilentError, match="silent for"):
        asked(upstream.url, whole, silence_s=0.1)


def test_a_server_that_drips_is_not_silent(upstream: Upstream) -> None:
    def script(connection: socket.socket) -> None:
        heard(connection)
        for byte in OK[:-5]:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
        connection.sendall(OK[-5:])

    upstream.scripts = [script]
    assert asked(upstream.url, whole, silence_s=0.5) == (200, b"ok")


def test_a_server_that_takes_no_connection_is_given_up() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # the queue is full
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(SilentError, match="no connection within"):
            asked(url, whole, connect_s=0.2)


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UnreachableError):
            asked(url, whole)


def test_a_host_that_is_no_name_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        asked("http://a..b:80", whole)


def test_a_plain_server_that_is_asked_for_tls_is_unreachable(upstream: Upstream) -> None:
    upstream.scripts = [lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")]
    with pytest.raises(UnreachableError):
        asked(upstream.url.replace("http:", "https:"), whole)


def test_a_request_that_was_given_up_closes_its_connection_and_no_other(upstream: Upstream) -> None:
    closed = threading.Event()

    def script(connection: socket.socket) -> None:
        heard(connection)
        if not heard(connection):
            closed.set()

    upstream.scripts = [script]

    async def then(pool: Pool, origin: Origin) -> None:
        connection = await pool.connection(origin)
        request = connection.ask(ASK)
        pool.loop.call_later(0.05, request.abort)
        await request.response()

    with pytest.raises(HangUpError, match="given up"):
        asked(upstream.url, then)
    assert closed.wait(10)


def test_giving_up_a_request_that_was_answered_leaves_the_next_alone(upstream: Upstream) -> None:
    upstream.scripts = [says_on(OK, OK)]

    async def then(pool: Pool, origin: Origin) -> bytes:
        connection = await pool.connection(origin)
        first = connection.ask(ASK)
        await (await first.response()).read(10)
        again = await pool.connection(origin)
        second = again.ask(ASK)
        first.abort()
        return await (await second.response()).read(10)

    assert asked(upstream.url, then) == b"ok"

"""The HTTP layer by itself: a server whose handler tells what it got, and raw sockets to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client, Handler, Limits, Server
from limbeck.serve.running import running_in_thread

PIECE = b"x" * 65536


@dataclass
class Echo:
    """A service whose paths are things that a handler may do."""

    limits: Limits
    drain_s: float = 5.0
    handler: Handler | None = None
    arrived: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    written: int = 0

    async def start(self, listener: socket.socket) -> None:
        self.server = Server(self.handler or self.answer, self.limits)
        await self.server.start(listener)

    async def stop(self) -> None:
        self.cut = await self.server.stop(self.drain_s)

    async def answer(self, request: Request, client: Client) -> None:
        self.arrived.append(request.target)
        path = request.target.partition(b"?")[0]
        if path == b"/chunks":
            client.start(200, [(b"x-kind", b"chunks")])
            for part in (b"one ", b"two ", b""):
                client.write(part)
            client.end(b"three")
        elif path == b"/nothing":
            client.send(204, [], b"")
        elif path == b"/half":
            client.start(200, [])
            client.write(b"half")
        elif path == b"/sized-half":
            client.start(200, [(b"content-length", b"100")])
            client.write(b"half")
        elif path == b"/wrong":
            raise LookupError("a bug")
        elif path == b"/hold":
            left = asyncio.Event()
            client.on_gone = left.set
            await left.wait()
            self.gone.append(request.target)
        elif path == b"/flood":
            await self.flood(client, int(request.target.partition(b"?")[2]))
        elif path == b"/whole":
            client.send(200, [], b"y" * int(request.target.partition(b"?")[2]))
        else:
            told = {
                "method": request.method.decode(),
                "target": request.target.decode(),
                "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in request.headers],
                "body": request.body.decode("latin-1"),
            }
            client.send(200, [(b"content-type", b"application/json")], json.dumps(told).encode())

    async def flood(self, client: Client, pieces: int) -> None:
        """So many pieces of 64 KiB, each as soon as the client takes it."""
        client.start(200, [])
        for _ in range(pieces):
            drained = asyncio.Event()
            client.on_drained = drained.set
            if not client.writable:
                await drained.wait()
            if client.gone:
                self.gone.append(b"/flood")
                return
            client.write(PIECE)
            self.written += len(PIECE)
        client.end()


Serving = Callable[..., AbstractContextManager[tuple[Echo, "Dial"]]]


class Dial:
    """Opens sockets to the server."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.place = (parts.hostname or "", parts.port or 0)

    def socket(self, *, receive_buffer: int | None = None) -> socket.socket:
        made = socket.socket()
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.settimeout(30)
        made.connect(self.place)
        return made

    def talk(self, *pieces: bytes) -> bytes:
        """All that the server says to `pieces` until it closes."""
        with self.socket() as connection:
            for piece in pieces:
                connection.sendall(piece)
            return rest(connection)


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or resets."""
    came = []
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            came.append(data)
    return b"".join(came)


@pytest.fixture
def serving() -> Serving:
    """`serving(body=..., idle_s=...)` runs a server with these limits."""

    @contextlib.contextmanager
    def run(drain_s: float = 5.0, **limits: float) -> Iterator[tuple[Echo, Dial]]:
        echo = Echo(Limits(**limits), drain_s)  # type: ignore[arg-type]  # sizes are int
        with running_in_thread(echo) as url:
            yield echo, Dial(url)

    return run


@pytest.fixture
def until_closed() -> Callable[[socket.socket], bytes]:
    return rest

"""The load generator and the mock teacher against each other, and against servers that do wrong."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from traffic.load import TOO_MANY, Run
from traffic.upstream import Teacher, request_end
from traffic.window import Order, Window, spread
from traffic.wire import PATHS, Behaviour, Dialect, Request, reply

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _of_teacher(order: Callable[[int], Order]) -> Window:
    async def measure() -> Window:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Teacher(loop), "127.0.0.1", 0)
        async with server:
            return await Run(order(server.sockets[0].getsockname()[1])).measure()

    return uvloop.run(measure())


def _of_server(serve: Serve, order: Callable[[int], Order]) -> Window:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async def measure() -> Window:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            return await Run(order(server.sockets[0].getsockname()[1])).measure()

    return uvloop.run(measure())


def _order(port: int, *, limit: int = 20, clients: int = 4, exact: bool = True) -> Order:
    return Order(
        port=port, path=PATHS["messages"], clients=clients, limit=limit, exact=exact, seconds=30
    )


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("writes", [1, 60])
def test_every_answer_of_the_teacher_is_right(
    dialect: Dialect, streamed: bool, writes: int
) -> None:
    def order(port: int) -> Order:
        return Order(
            port=port,
            path=PATHS[dialect],
            dialect=dialect,
            streamed=streamed,
            behaviour=Behaviour(wait_ms=1, writes=writes),
            clients=4,
            limit=50,
            seconds=30,
        )

    window = _of_teacher(order)
    assert (window.requests, window.failed) == (50, 0)
    assert window.latency_ms is not None
    assert window.first_byte_ms is not None
    assert 0 < window.first_byte_ms.p50 <= window.latency_ms.p50


def test_an_error_status_is_a_failure_and_ends_the_load_in_time() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"writes=000001)"):
            writer.write(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")

    window = _of_server(refuse, lambda port: _order(port, limit=10_000))
    assert window.requests == 0
    assert TOO_MANY <= window.failed < TOO_MANY + 4
    assert set(window.reasons) == {"status 500"}


@pytest.mark.parametrize("exact", [False, True])
def test_another_body_is_a_failure(exact: bool) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"writes=000001)"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    window = _of_server(lie, lambda port: _order(port, exact=exact))
    assert (window.requests, window.reasons) == (0, {"another body": 20})


def test_a_server_that_hangs_up_in_mid_answer_is_a_failure() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"writes=000001)")
        writer.write(reply("messages")[:-1])

    window = _of_server(hang_up, _order)
    assert window.requests == 0
    assert window.reasons == {"connection closed before the answer was whole": 20}


def test_a_server_that_closes_after_each_answer_is_asked_anew() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"writes=000001)")
        writer.write(reply("messages").replace(b"200 OK", b"200 OK\r\nconnection: close"))

    window = _of_server(once, _order)
    assert (window.requests, window.failed) == (20, 0)


def test_a_request_ends_where_its_length_or_its_last_chunk_says() -> None:
    request = Request("messages", path="/p", host="h", stream=False, asked=Behaviour()).write(1)
    assert request_end(request + b"POST") == len(request)
    assert all(request_end(request[:cut]) == 0 for cut in (10, 300, len(request) - 1))
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert request_end(chunked) == len(chunked)
    assert request_end(chunked[:-2]) == 0
    assert request_end(b"GET / HTTP/1.1\r\n\r\n") == 18


def test_percentiles_are_of_the_nearest_rank() -> None:
    found = spread([number * 1_000_000 for number in range(100, 0, -1)])
    assert found is not None
    assert (found.p50, found.p90, found.p99, found.max, found.mean) == (50, 90, 99, 100, 50.5)
    assert spread([]) is None

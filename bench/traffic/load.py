"""A load generator: a closed loop of connections that checks every answer and times it.

    cd bench && python -m traffic.load '{"port": 4100, "path": "/v1/messages"}'

It takes a `traffic.window.Order` and prints a `traffic.window.Window`, both as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from array import array
from collections import Counter
from typing import cast

import httptools
import uvloop

from traffic.window import Order, Window, spread
from traffic.wire import LAST_WORD, Request, reply_body, stream_events

TOO_MANY = 100
"""After so many failures nothing more is asked: the numbers would mean nothing."""


class Run:
    """What all connections share: the next request, when to end, and what was found."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._request = Request(
            order.dialect,
            path=order.path,
            host=f"127.0.0.1:{order.port}",
            stream=order.streamed,
            asked=order.behaviour,
        )
        self._wanted = (
            b"".join(stream_events(order.dialect)) if order.streamed else reply_body(order.dialect)
        )
        self._last_word = LAST_WORD.encode()
        self._latencies, self._first_bytes = array("Q"), array("Q")
        self._failures: Counter[str] = Counter()
        self._next, self._end = order.first, order.first + order.limit
        self._deadline = self._last = 0
        self._open = order.clients
        self._over = asyncio.Event()
        self._opening: set[asyncio.Task[None]] = set()

    async def measure(self) -> Window:
        """Raises OSError where nobody listens."""
        # One after the other: how many connections a listener's queue holds is not the question.
        clients = [await self._connect() for _ in range(self.order.clients)]
        cpu = time.process_time()
        began = self._last = time.perf_counter_ns()
        self._deadline = began + int(self.order.seconds * 1e9)
        for client in clients:
            client.ask()
        try:
            await asyncio.wait_for(self._over.wait(), self.order.seconds + self.order.grace_s)
        except TimeoutError:
            self._failures["no answer in time"] += self._open
        seconds = max((self._last - began) / 1e9, 1e-9)
        return Window(
            requests=len(self._latencies),
            failed=self._failures.total(),
            reasons=dict(self._failures),
            seconds=round(seconds, 4),
            rate=round(len(self._latencies) / seconds, 1),
            latency_ms=spread(self._latencies),
            first_byte_ms=spread(self._first_bytes),
            load_cpu_s=round(time.process_time() - cpu, 3),
        )

    def next_request(self) -> bytes | None:
        """The next request; None where it is time to end."""
        late = time.perf_counter_ns() >= self._deadline
        if late or self._next >= self._end or self._failures.total() >= TOO_MANY:
            return None
        self._next += 1
        return self._request.write(self._next)

    def answered(self, status: int, body: bytes, asked: int, first_byte: int) -> None:
        now = time.perf_counter_ns()
        if status != 200:
            self._failures[f"status {status}"] += 1
        elif not self._is_right(body):
            self._failures["another body"] += 1
        else:
            self._latencies.append(now - asked)
            self._first_bytes.append(first_byte - asked)
            self._last = now

    def failed(self, reason: str) -> None:
        self._failures[reason] += 1

    def finished(self) -> None:
        """A connection has nothing more to ask."""
        self._open -= 1
        if self._open <= 0:
            self._over.set()

    def reopen(self) -> None:
        """Ask on over a new connection in place of one that was closed."""
        task = asyncio.get_running_loop().create_task(self._reopen())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _reopen(self) -> None:
        try:
            client = await self._connect()
        except OSError as error:
            self.failed(f"no connection: {error.strerror}")
            self.finished()
        else:
            client.ask()

    async def _connect(self) -> _Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: _Client(self), "127.0.0.1", self.order.port
        )
        return client

    def _is_right(self, body: bytes) -> bool:
        if self.order.exact:
            return body == self._wanted
        # A gateway that writes the events anew may cut them elsewhere, but must come to their end.
        ending = b"message_stop" if self.order.dialect == "messages" else b"[DONE]"
        return self._last_word in body and (not self.order.streamed or ending in body[-200:])


class _Client(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._asked = self._first_byte = 0
        self._done = False

    def ask(self) -> None:
        request = self._run.next_request()
        if request is None:
            self._finish()
            return
        self._parts.clear()
        self._first_byte = 0
        self._asked = time.perf_counter_ns()
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done:
            return
        self._done = True
        if self._asked:
            self._run.failed("connection closed before the answer was whole")
        self._run.reopen()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._run.failed("not HTTP")
            self._asked = 0
            self._transport.abort()

    # The parser calls the rest.

    def on_body(self, body: bytes) -> None:
        if not self._first_byte:
            self._first_byte = time.perf_counter_ns()
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._run.answered(status, b"".join(self._parts), self._asked, self._first_byte)
        self._asked = 0
        if self._parser.should_keep_alive():
            self.ask()
        else:
            self._transport.close()

    def _finish(self) -> None:
        self._done = True
        self._transport.close()
        self._run.finished()


async def _main(order: Order) -> None:
    run = Run(order)
    # Nothing here makes cycles; a collection would only show as a slow answer.
    gc.disable()
    print((await run.measure()).model_dump_json(), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(Order.model_validate_json(sys.argv[1])))

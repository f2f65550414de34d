"""Processes that are killed, stopped, changed and doubled: what was acknowledged is kept, once."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars
import pytest

from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client
from limbeck.store.store import Store
from limbeck.workspace import Workspace

ENDED = b"event: message_stop"


class Load:
    """Clients that call until told to stop, each call with an input of its own.

    `acknowledged` are the inputs whose replies came to their end; `wrong` is what should never be.
    """

    def __init__(self, urls: list[str], clients: int, name: str) -> None:
        self.urls = urls
        self.acknowledged: list[str] = []
        self.wrong: list[str] = []
        self.over = threading.Event()
        self._some = threading.Condition()
        self._threads = [
            threading.Thread(target=self._call, args=(f"{name}-{number}", number))
            for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def reach(self, count: int) -> None:
        """Wait for so many acknowledged calls."""
        with self._some:
            assert self._some.wait_for(lambda: len(self.acknowledged) >= count, 60)

    def _call(self, name: str, number: int) -> None:
        place = urlsplit(self.urls[number % len(self.urls)]).netloc
        connection = http.client.HTTPConnection(place, timeout=60)
        with contextlib.closing(connection):
            for row in range(100_000):
                if self.over.is_set():
                    return
                text, stream = f"{name}-{row}", row % 2 == 1
                body = dialect("anthropic").write_request(
                    model="teacher-1", system="Decide.", user=text, stream=stream
                )
                try:
                    connection.request("POST", "/t/plain/v1/messages", json.dumps(body))
                    response = connection.getresponse()
                    data = response.read()
                except (OSError, http.client.HTTPException):
                    return
                if response.status != 200 or (stream and ENDED not in data):
                    self.wrong.append(f"{response.status} {data[:300]!r}")
                    return
                with self._some:
                    self.acknowledged.append(text)
                    self._some.notify()


def kept(tasks: Workspace) -> list[str]:
    """The inputs in the store, whose hashes are derived anew."""
    with Store(tasks.store_url) as store:
        assert store.verify() == []
        return [trace.input for trace in store.traces("plain")]


# ---- killed -------------------------------------------------------------------------------------


def killed(start: Any, upstream: Any, tasks: Workspace, times: int) -> None:
    draw = random.Random(7)
    acknowledged: list[str] = []
    for turn in range(times):
        with (
            start(upstream.url, fresh=True) as gateway,
            Load([gateway.url], 8, f"turn-{turn}") as load,
        ):
            load.reach(draw.randint(1, 150))
            gateway.kill()
        assert load.wrong == []
        acknowledged += load.acknowledged
        written = kept(tasks)
        assert sorted(set(acknowledged) - set(written)) == []
        assert len(written) == len(set(written)), "none twice"
    # What was on its way to its client is at most one call of each.
    assert len(acknowledged) <= len(written) <= len(acknowledged) + 8 * times


def test_what_a_killed_gateway_acknowledged_is_kept_once(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    killed(start, upstream, tasks, times=3)


@pytest.mark.slow
def test_what_a_gateway_killed_fifty_times_acknowledged_is_kept_once(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    killed(start, upstream, tasks, times=50)
    said = limbeck(tasks, "store", "verify", "--json")
    assert said.returncode == 0, said.stderr


def limbeck(tasks: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from limbeck.cli.app import main; main()", *arguments],
        cwd=tasks.root,
        capture_output=True,
        text=True,
        check=False,
    )


# ---- doubled ------------------------------------------------------------------------------------


def test_two_gateways_on_one_store_keep_everything_once(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with (
        start(upstream.url) as one,
        start(upstream.url) as other,
        Load([one.url, other.url], 8, "two") as load,
    ):
        load.reach(800)
        load.over.set()
        for thread in load._threads:
            thread.join()
        counts = [gateway.health() for gateway in (one, other)]
    assert load.wrong == []
    assert [count["unrecorded"] + count["spooled"] for count in counts] == [0, 0]
    assert sorted(kept(tasks)) == sorted(load.acknowledged)


def test_the_store_is_exported_and_forgotten_from_while_a_gateway_writes(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with start(upstream.url) as gateway, Load([gateway.url], 4, "busy") as load:
        load.reach(100)
        before = list(load.acknowledged)
        out = tasks.root / "out.parquet"
        exported = limbeck(tasks, "store", "export", str(out), "--task", "plain")
        assert exported.returncode == 0, exported.stderr
        rows = polars.read_parquet(out)["input"].to_list()
        forgotten = limbeck(tasks, "forget", "--task", "plain", "--yes", "--json")
        assert forgotten.returncode == 0, forgotten.stderr
        reached = len(load.acknowledged)
        load.reach(reached + 50)
        after = load.acknowledged[reached + 8 :]
    assert set(before) <= set(rows)
    assert load.wrong == []
    written = kept(tasks)
    assert set(before).isdisjoint(written)
    assert set(after) <= set(written)


# ---- stopped ------------------------------------------------------------------------------------


class Held:
    """An upstream that streams all but the end, and the end when `open` is set."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._gate: asyncio.Event | None = None

    async def __call__(self, request: Request, client: Client) -> None:
        if self._gate is None:
            self.loop, self._gate = asyncio.get_running_loop(), asyncio.Event()
        reply = Reply(text="Answer: grant", stop_reason="end_turn", model="teacher-1")
        *events, last = dialect("anthropic").write_stream(reply)
        client.start(200, [(b"content-type", b"text/event-stream")])
        for event in events:
            client.write(event)
        self.begun.release()
        await self._gate.wait()
        client.end(last)

    def release(self) -> None:
        assert self.loop is not None
        assert self._gate is not None
        self.loop.call_soon_threadsafe(self._gate.set)


def ask_for_stream(url: str, text: str = "torn") -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    body = dialect("anthropic").write_request(
        model="teacher-1", system="Decide.", user=text, stream=True
    )
    connection.request("POST", "/t/plain/v1/messages", json.dumps(body))
    return connection


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_is_told_to_stop_ends_its_streams_whole_and_takes_no_more(
    start: Any, upstream: Any, tasks: Workspace, signum: int
) -> None:
    upstream.answer = held = Held()
    with start(upstream.url, fresh=True) as gateway, contextlib.ExitStack() as late:
        asked = [ask_for_stream(gateway.url, f"row-{n}") for n in range(20)]
        for connection in asked:
            late.enter_context(contextlib.closing(connection))
            held.begun.acquire()
        gateway.child.send_signal(signum)
        refused(gateway.url)
        held.release()
        bodies = [connection.getresponse().read() for connection in asked]
        assert gateway.child.wait() == 0
        assert "Traceback" not in gateway.said()
    assert all(ENDED in body for body in bodies)
    assert sorted(kept(tasks)) == sorted(f"row-{n}" for n in range(20))


def refused(url: str) -> None:
    """Wait until connections are refused."""
    parts = urlsplit(url)
    while True:
        try:
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return


def test_a_stream_that_outlasts_the_drain_is_cut_off_and_written_down(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    upstream.answer = held = Held()
    with start(upstream.url, drain_s=0.2) as gateway:
        connection = ask_for_stream(gateway.url)
        held.begun.acquire()
        response = connection.getresponse()
        assert gateway.terminate() == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        connection.close()
        held.release()
    with Store(tasks.store_url) as store:
        [trace] = store.traces("plain")
    assert (trace.status, trace.stop_reason) == ("cut_off", "gateway_stopped")


def test_a_second_signal_ends_the_wait_and_what_came_is_written_down(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    upstream.answer = held = Held()
    with start(upstream.url, drain_s=3600) as gateway:
        connection = ask_for_stream(gateway.url)
        held.begun.acquire()
        connection.getresponse()
        gateway.child.terminate()
        refused(gateway.url)
        gateway.child.terminate()
        assert gateway.child.wait(50) == 0
        connection.close()
        held.release()
        assert "Traceback" not in gateway.said()
    with Store(tasks.store_url) as store:
        [trace] = store.traces("plain")
    assert (trace.status, trace.stop_reason) == ("cut_off", "gateway_stopped")


def test_a_slow_client_gets_its_reply_whole_though_the_gateway_stops(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    text = "x" * 5_000_000

    async def large(request: Request, client: Client) -> None:
        reply = Reply(text=text, stop_reason="end_turn", model="teacher-1")
        body = json.dumps(dialect("anthropic").write_reply(reply)).encode()
        client.send(200, [(b"content-type", b"application/json")], body)

    upstream.answer = large
    body = dialect("anthropic").write_request(model="m", system="s", user="torn")
    with start(upstream.url) as gateway:
        connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
        connection.request("POST", "/t/plain/v1/messages", json.dumps(body))
        response = connection.getresponse()
        gateway.child.terminate()
        refused(gateway.url)
        data = response.read()
        connection.close()
        assert gateway.child.wait() == 0
    assert text.encode() in data


# ---- changed ------------------------------------------------------------------------------------


def until(what: Any) -> None:
    """Wait for something that the gateway does by itself, within a minute."""
    waiting = threading.Event()
    for _ in range(600):
        if what():
            return
        waiting.wait(0.1)
    raise AssertionError("it did not come about")


def test_a_configuration_that_changes_under_load_costs_no_call(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    file = tasks.tasks_folder / "plain.toml"
    good = file.read_text()
    with start(upstream.url) as gateway, Load([gateway.url], 4, "changing") as load:
        load.reach(50)
        file.write_text(good + "stakes = 'high")  # no TOML
        until(lambda: gateway.health()["configuration_error"])
        load.reach(len(load.acknowledged) + 50)
        still_on = len(load.acknowledged)
        file.write_text("mode = 'off'\n" + good)
        until(lambda: gateway.health()["tasks"]["plain"] == "off")
        off_from = len(load.acknowledged) + 8
        load.reach(off_from + 50)
        off_to = len(load.acknowledged) - 8
        (tasks.tasks_folder / "more.toml").write_text(good)
        file.write_text(good)
        until(lambda: "more" in gateway.health()["tasks"])
        assert gateway.health()["configuration_error"] is None
        on_from = len(load.acknowledged) + 8
        load.reach(on_from + 50)
    assert load.wrong == []
    written = set(kept(tasks))
    assert set(load.acknowledged[:still_on]) <= written
    assert written.isdisjoint(load.acknowledged[off_from:off_to])
    assert set(load.acknowledged[on_from:]) <= written


# ---- many ---------------------------------------------------------------------------------------


def many_streams(start: Any, upstream: Any, tasks: Workspace, count: int, **how: Any) -> None:
    upstream.answer = held = Held()
    with start(upstream.url, **how) as gateway, contextlib.ExitStack() as late:
        asked = []
        for number in range(count):
            asked.append(ask_for_stream(gateway.url, f"row-{number}"))
            late.enter_context(contextlib.closing(asked[-1]))
        for _ in asked:
            held.begun.acquire()
        assert gateway.memory() < 500 * 2**20
        held.release()
        assert all(ENDED in one.getresponse().read() for one in asked)
        assert "Traceback" not in gateway.said()
    assert len(set(kept(tasks))) == count


def test_a_hundred_open_streams_all_end_whole(start: Any, upstream: Any, tasks: Workspace) -> None:
    many_streams(start, upstream, tasks, 100)


@pytest.mark.slow
def test_a_thousand_open_streams_all_end_whole(start: Any, upstream: Any, tasks: Workspace) -> None:
    many_streams(start, upstream, tasks, 1000)


def test_a_gateway_asks_for_as_many_files_as_it_may_open(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    many_streams(start, upstream, tasks, 100, files=(64, 4096))


def test_a_gateway_without_files_to_open_goes_on_when_there_are_some_again(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with start(upstream.url, files=(64, 64)) as gateway:
        parts = urlsplit(gateway.url)
        with contextlib.ExitStack() as many:
            for _ in range(150):
                connection = socket.create_connection((parts.hostname or "", parts.port or 0), 30)
                many.enter_context(connection)
        with Load([gateway.url], 2, "again") as load:
            load.reach(20)
        assert load.wrong == []
        assert gateway.health()["unrecorded"] == 0
        assert "Traceback" not in gateway.said(), gateway.said()[-2000:]
    assert sorted(kept(tasks)) == sorted(load.acknowledged)


# ---- left -------------------------------------------------------------------------------------


def open_files(gateway: Any) -> int:
    return len(list(Path(f"/proc/{gateway.child.pid}/fd").iterdir()))


def test_clients_that_leave_at_any_moment_leave_nothing_behind(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    draw = random.Random(11)
    reply = Reply(text="It is torn. " * 50 + "Answer: grant", stop_reason="end_turn", model="m")

    async def slowly(request: Request, client: Client) -> None:
        if b"GET" in request.method:
            return client.send(200, [], b"x" * 300_000)
        client.start(200, [(b"content-type", b"text/event-stream")])
        for event in dialect("anthropic").write_stream(reply):
            await asyncio.sleep(0.001)
            client.write(event)
        return client.end()

    upstream.answer = slowly
    with start(upstream.url) as gateway:
        parts = urlsplit(gateway.url)
        gateway.health()
        before = open_files(gateway)
        for number in range(300):
            task = draw.choice(["plain", "inline", "redacted", "unrecorded"])
            asked = dialect("anthropic").write_request(
                model="m", system="s", user=f"row-{number}", stream=True
            )
            body = json.dumps(asked).encode()
            raw = b"POST /t/%b/v1/messages HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (
                task.encode(),
                len(body),
                body,
            )
            if draw.random() < 0.2:
                raw = b"GET /v1/files/1/content HTTP/1.1\r\n\r\n"
            if draw.random() < 0.2:
                raw = raw[: draw.randrange(len(raw))]
            with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as client:
                if draw.random() < 0.5:  # it resets instead of closing
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.sendall(raw)
                client.settimeout(draw.choice([0.001, 0.005, 0.02]))
                with contextlib.suppress(TimeoutError):
                    client.recv(draw.choice([1, 1000, 100_000]))
        # Connections to the upstream are kept for a few seconds.
        until(lambda: open_files(gateway) <= before)
        until(lambda: gateway.health()["waiting_for_disk"] == 0)
        assert gateway.health()["unrecorded"] == 0
        assert gateway.terminate() == 0
        assert "Traceback" not in gateway.said(), gateway.said()[-3000:]
    with Store(tasks.store_url) as store:
        assert store.verify() == []
        statuses = {trace.status for task in ("plain", "inline") for trace in store.traces(task)}
    assert "cut_off" in statuses


# ---- stalled ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_stalled_reader_of_a_large_stream_makes_its_upstream_wait(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    piece = b"data: " + json.dumps({"type": "ping", "x": "y" * 60_000}).encode() + b"\n\n"
    pieces = 200 * 2**20 // len(piece)
    written = 0

    async def flood(request: Request, client: Client) -> None:
        nonlocal written
        client.start(200, [(b"content-type", b"text/event-stream")])
        for _ in range(pieces):
            drained = asyncio.Event()
            client.on_drained = drained.set
            if not client.writable:
                await drained.wait()
            if client.gone:
                return
            client.write(piece)
            written += len(piece)
        client.end()

    upstream.answer = flood
    with start(upstream.url) as gateway:
        before = gateway.memory()
        connection = ask_for_stream(gateway.url)
        response = connection.getresponse()
        response.read(10)
        seen = -1
        while seen != written:  # it still goes on
            seen = written
            threading.Event().wait(1.0)
        assert written < 40 * 2**20
        assert gateway.memory() - before < 40 * 2**20
        rest = len(response.read())
        assert rest + 10 == pieces * len(piece)
        assert gateway.memory() - before < 60 * 2**20
        connection.close()
    assert len(kept(tasks)) == 1


def test_what_comes_behind_the_end_of_a_reply_is_not_kept_in_memory(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    reply = Reply(text="Answer: grant", stop_reason="end_turn", model="teacher-1")
    events = b"".join(dialect("anthropic").write_stream(reply))
    comment = b": " + b"y" * 65_534 + b"\n\n"
    pieces = 100 * 2**20 // len(comment)

    async def chatty(request: Request, client: Client) -> None:
        client.start(200, [(b"content-type", b"text/event-stream")])
        client.write(events)
        for _ in range(pieces):
            drained = asyncio.Event()
            client.on_drained = drained.set
            if not client.writable:
                await drained.wait()
            client.write(comment)
        client.end()

    upstream.answer = chatty
    with start(upstream.url) as gateway:
        connection = ask_for_stream(gateway.url)
        response = connection.getresponse()
        assert response.read(len(events)) == events
        before = gateway.memory()
        came = most = 0
        while data := response.read1(1 << 20):
            came += len(data)
            most = max(most, gateway.memory() - before)
        connection.close()
    assert came == pieces * len(comment)
    assert most < 40 * 2**20
    assert len(kept(tasks)) == 1

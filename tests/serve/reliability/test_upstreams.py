"""Upstreams in trouble: what the client sees, to the byte, and what is written down."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client
from limbeck.store.store import Store
from limbeck.types import Trace, Usage
from limbeck.workspace import Workspace

REPLY = Reply(
    text="It is torn.\nAnswer: grant",
    thinking="Torn.",
    stop_reason="end_turn",
    usage=Usage(input=10, output=5),
    model="teacher-1",
)
SHORT = {"silence_timeout_s": 0.5, "connect_timeout_s": 0.5}
Seen = tuple[int | None, bytes, bool]
"""The status, the body as far as it came, and whether it was whole."""


@pytest.fixture(params=sorted(TABLE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def call(url: str, name: str = "anthropic", *, stream: bool = False) -> Seen:
    """One call of the task `plain`, over a connection of its own."""
    spoken = dialect(name)
    body = spoken.write_request(model="teacher-1", system="s", user="torn", stream=stream)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    with contextlib.closing(connection):
        connection.request(
            "POST", f"/t/plain{spoken.PATH}", json.dumps(body), {"content-type": "application/json"}
        )
        response = connection.getresponse()
        came = []
        try:
            while data := response.read1(65536):
                came.append(data)
        except (http.client.IncompleteRead, ConnectionError):
            return response.status, b"".join(came), False
        whole = not response.length
        return response.status, b"".join(came), whole


def only(tasks: Workspace) -> Trace:
    with Store(tasks.store_url) as store:
        [trace] = store.traces("plain")
        assert store.verify() == []
    return trace


def answers(body: bytes, name: str) -> bool:
    """Whether `body` is an error in the form of the dialect."""
    return bool(dialect(name).read_error(json.loads(body)))


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, socket.socket]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


# ---- no reply -----------------------------------------------------------------------------------


def test_an_upstream_that_hangs_is_told_of_as_a_timeout(
    start: Any, provider: Any, tasks: Workspace, name: str
) -> None:
    ended = threading.Event()
    provider.replies = [[ended.wait]]
    with start(provider.url, **SHORT) as gateway:
        status, body, whole = call(gateway.url, name)
        ended.set()
    assert (status, whole, answers(body, name)) == (504, True, True)
    trace = only(tasks)
    assert (trace.status, trace.stop_reason, trace.raw) == ("error", "http_504", None)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\x16\x03\x01",
        b"HTTP/1.1 200 OK\r\ncontent-len",
        b"HTTP/1.1 101 X\r\n\r\n",
    ],
)
def test_an_upstream_that_says_nothing_that_is_http_is_told_of_as_bad(
    start: Any, provider: Any, tasks: Workspace, said: bytes
) -> None:
    provider.replies = [[said]]
    with start(provider.url, **SHORT) as gateway:
        status, body, whole = call(gateway.url)
        assert gateway.health()["teacher_failures"] == 1
        assert "Traceback" not in gateway.said()
    assert (status, whole, answers(body, "anthropic")) == (502, True, True)
    assert only(tasks).stop_reason == "http_502"


def test_an_upstream_that_refuses_connections_is_told_of_as_bad(
    start: Any, tasks: Workspace, name: str
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with start(url, **SHORT) as gateway:
            status, body, _ = call(gateway.url, name)
    assert (status, answers(body, name)) == (502, True)
    assert (only(tasks).status, only(tasks).stop_reason) == ("error", "http_502")


def test_tls_to_a_plain_port_is_told_of_as_bad(start: Any, provider: Any, tasks: Workspace) -> None:
    with listening() as (url, listener), start(url.replace("http:", "https:"), **SHORT) as gateway:

        def plain() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        serving = threading.Thread(target=plain)
        serving.start()
        status, body, _ = call(gateway.url)
        serving.join()
        assert "Traceback" not in gateway.said()
    assert (status, answers(body, "anthropic")) == (502, True)


# ---- a reply that says no -----------------------------------------------------------------------


ERRORS = [
    ("429 Too Many Requests", {"Retry-After": "17", "retry-after-ms": "16900"}),
    ("500 Internal Server Error", {"x-should-retry": "true"}),
    ("529 ", {"request-id": "req_1"}),
    ("503 Down For Tea", {"content-type": "text/html"}),
]
NO = [b'{"type": "error",  "error": {"type": "x", "message": "no"}}', b"<p>no"]


def test_errors_of_the_upstream_reach_the_client_unchanged(
    start: Any, provider: Any, whole: Any, tasks: Workspace
) -> None:
    with start(provider.url, **SHORT) as gateway:
        for (line, headers), body, stream in itertools.product(ERRORS, NO, (False, True)):
            lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
            provider.replies = [whole(body, line, lines.encode())]
            asked = dialect("anthropic").write_request(
                model="m", system="s", user="u", stream=stream
            )
            connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=30)
            with contextlib.closing(connection):
                connection.request("POST", "/t/plain/v1/messages", json.dumps(asked))
                response = connection.getresponse()
                assert (response.status, response.reason) == (int(line[:3]), line[4:])
                assert response.read() == body
                assert headers.items() <= dict(response.getheaders()).items()
        assert "Traceback" not in gateway.said()
    with Store(tasks.store_url) as store:
        reasons = [trace.stop_reason for trace in store.traces("plain")]
    assert sorted(set(map(str, reasons))) == ["http_429", "http_500", "http_503", "http_529"]
    assert len(reasons) == 16


# ---- a reply that breaks off --------------------------------------------------------------------


def test_a_reply_that_is_shorter_than_it_says_is_told_of_as_bad(
    start: Any, provider: Any, tasks: Workspace, name: str
) -> None:
    body = json.dumps(dialect(name).write_reply(REPLY)).encode()
    provider.replies = [[b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(body) + 1) + body]]
    with start(provider.url, **SHORT) as gateway:
        status, said, _ = call(gateway.url, name)
    assert (status, answers(said, name)) == (502, True)
    assert only(tasks).status == "error"


def test_of_a_reply_that_is_longer_than_it_says_the_client_gets_what_it_says(
    start: Any, provider: Any, tasks: Workspace, name: str
) -> None:
    body = json.dumps(dialect(name).write_reply(REPLY)).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    provider.replies = [[head + body + b"HTTP/1.1 200 OK\r\n\r\nsmuggled"]]
    with start(provider.url, **SHORT) as gateway:
        assert call(gateway.url, name) == (200, body, True)
        assert call(gateway.url, name) == (200, body, True)
    with Store(tasks.store_url) as store:
        assert [trace.status for trace in store.traces("plain")] == ["ok", "ok"]


def streamed(name: str) -> list[bytes]:
    return list(dialect(name).write_stream(REPLY))


@pytest.mark.parametrize(
    "cut", ["after the head", "mid-event", "between events", "before the last"]
)
def test_a_stream_that_breaks_off_is_passed_as_far_as_it_came_and_has_no_end(
    start: Any, provider: Any, chunked: Any, tasks: Workspace, name: str, cut: str
) -> None:
    events = streamed(name)
    if cut == "mid-event":
        events = [*events[:3], events[3][: len(events[3]) // 2]]
    events = {
        "after the head": [],
        "between events": events[:4],
        "before the last": events[:-1],
    }.get(cut, events)
    provider.replies = [chunked(*events, end=False)]
    with start(provider.url, **SHORT) as gateway:
        status, body, whole = call(gateway.url, name, stream=True)
    ended = cut == "before the last" and name == "openai_chat"
    assert (status, whole) == (200, False)
    assert body == b"".join(events) or (name == "openai_chat" and body in b"".join(events)) or ended
    assert only(tasks).status == "error"
    assert only(tasks).stop_reason == "teacher_hung_up"


def test_a_stream_that_falls_silent_is_ended_without_its_end(
    start: Any, provider: Any, chunked: Any, tasks: Workspace
) -> None:
    silent = threading.Event()
    events = streamed("anthropic")[:4]
    provider.replies = [chunked(*events, silent.wait, end=False)]
    with start(provider.url, **SHORT) as gateway:
        status, body, whole = call(gateway.url, stream=True)
        silent.set()
    assert (status, body, whole) == (200, b"".join(events), False)
    assert only(tasks).stop_reason == "teacher_hung_up"


def test_a_reply_that_drips_arrives_whole(start: Any, provider: Any, tasks: Workspace) -> None:
    events = b"".join(streamed("anthropic"))
    pause: Callable[[], None] = lambda: time.sleep(0.0005)  # noqa: E731
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    drops = [bytes([byte]) for byte in head + events]
    provider.replies = [[step for drop in drops for step in (drop, pause)]]
    with start(provider.url, **SHORT) as gateway:
        assert call(gateway.url, stream=True) == (200, events, True)
    assert only(tasks).status == "ok"


def test_a_stream_of_garbage_passes_and_is_written_down(
    start: Any, provider: Any, chunked: Any, tasks: Workspace, name: str
) -> None:
    garbage = [
        b"\xff\xfe\x00garbage",
        b"data: {not json\n\n",
        b"event: \xff\ndata: [1]\n\n",
        b"data: null\n\n",
    ]
    provider.replies = [chunked(*garbage)]
    with start(provider.url, **SHORT) as gateway:
        assert call(gateway.url, name, stream=True) == (200, b"".join(garbage), True)
        assert "Traceback" not in gateway.said()
    assert only(tasks).status in ("error", "cut_off")


# ---- replies of every wrong form ----------------------------------------------------------------

VALUES: list[Any] = [
    None, True, 0, -1, 1e308, 10**30, "", "\ud800", "\x00", [], {}, [None], [[]], {"type": None},
    [{"type": "text"}], {"a": {"b": []}}, [{"index": "0", "delta": None}], -(2**70), "9" * 30,
]  # fmt: skip


def spoilt(value: Any, draw: random.Random) -> Any:
    """`value` with one thing somewhere in it replaced or taken out."""
    if draw.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return draw.choice(VALUES)
    if isinstance(value, list):
        at = draw.randrange(len(value))
        return [*value[:at], spoilt(value[at], draw), *value[at + 1 :]]
    key = draw.choice(sorted(value))
    if draw.random() < 0.2:
        return {one: value[one] for one in value if one != key}
    return {**value, key: spoilt(value[key], draw)}


def hostile(draw: random.Random, sent: list[bytes]) -> Any:
    """An upstream whose replies are spoilt; `sent` is told the bytes of each."""

    async def answer(request: Request, client: Client) -> None:
        name = next(one for one in TABLE if request.target.startswith(dialect(one).PATH.encode()))
        spoken = dialect(name)
        if b'"stream": true' not in request.body and b'"stream":true' not in request.body:
            body = json.dumps(spoilt(spoken.write_reply(REPLY), draw)).encode()
            if draw.random() < 0.2:
                body = body[: draw.randrange(len(body))]
            sent.append(body)
            status = draw.choice([200, 200, 200, 400, 201])
            return client.send(status, [(b"content-type", b"application/json")], body)
        client.start(200, [(b"content-type", b"text/event-stream")])
        events = [spoilt_event(event, draw) for event in spoken.write_stream(REPLY)]
        sent.append(b"".join(events))
        for event in events:
            client.write(event)
        return client.end()

    return answer


def spoilt_event(event: bytes, draw: random.Random) -> bytes:
    head, mark, data = event.partition(b"data: ")
    if draw.random() < 0.7 or not data.startswith(b"{"):
        return event
    return head + mark + json.dumps(spoilt(json.loads(data), draw)).encode() + b"\n\n"


def bad_replies(start: Any, upstream: Any, tasks: Workspace, calls: int, seed: int) -> None:
    draw, sent = random.Random(seed), list[bytes]()
    upstream.answer = hostile(draw, sent)
    done = 0
    with start(upstream.url, **SHORT) as gateway:
        connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=30)
        with contextlib.closing(connection):
            for number in range(calls):
                name = draw.choice(sorted(TABLE))
                stream = draw.random() < 0.6
                task = draw.choice(["plain", "inline", "schema", "redacted"])
                spoken = dialect(name)
                body = spoken.write_request(model="m", system="s", user="torn", stream=stream)
                # With counts asked for, nothing of the stream is ours to hide.
                body |= (
                    {"stream_options": {"include_usage": True}}
                    if name == "openai_chat" and stream
                    else {}
                )
                connection.request("POST", f"/t/{task}{spoken.PATH}", json.dumps(body))
                response = connection.getresponse()
                came = response.read()
                assert response.status < 500, (number, name, sent[-1], came)
                if task in ("plain", "redacted"):
                    assert came == sent[-1]
                done += 1
        health = gateway.health()
        assert (health["unrecorded"], health["recorded"]) == (0, done), health
        assert "Traceback" not in gateway.said(), gateway.said()
    with Store(tasks.store_url) as store:
        assert store.counts().traces == done
        assert store.verify() == []


def test_replies_of_every_wrong_form_pass_and_are_written_down(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    bad_replies(start, upstream, tasks, calls=500, seed=3)


@pytest.mark.slow
def test_thousands_of_replies_of_wrong_form_pass_and_are_written_down(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    bad_replies(start, upstream, tasks, calls=6000, seed=4)

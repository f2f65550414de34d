"""What the gateway does not know passes in both directions, byte for byte."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.models.dialects.table import dialect
from limbeck.serve.headers import HOP_BY_HOP
from limbeck.serve.http.message import RawHeaders
from limbeck.store.store import Store
from limbeck.workspace import Workspace

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
OURS = (b"x-limbeck-",)
METHODS = [
    b"GET",
    b"POST",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"OPTIONS",
    b"PROPFIND",
    b"REPORT",
    b"LOCK",
]
NAMES = st.from_regex(rb"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True).filter(
    lambda name: not name.lower().startswith(OURS) and name.lower() not in HOP_BY_HOP
)
VALUES = st.from_regex(rb"[!-~\x80-\xff]([!-~\x80-\xff \t]{0,30}[!-~\x80-\xff])?", fullmatch=True)
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=6)
TARGETS = st.from_regex(
    rb"/v1/files/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,30}(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]-]{0,30})?",
    fullmatch=True,
).filter(lambda target: b".." not in target)


class Tape:
    """A provider that keeps the bytes of what it is asked, and answers with given bytes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.reply = b""
        self._threads: list[threading.Thread] = []

    def serve(self, connection: socket.socket) -> None:
        with connection:
            came = whole_message(connection)
            self.heard.append(came)
            connection.sendall(self.reply)

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self._threads[-1].start()

    def join(self) -> None:
        while self._threads:
            self._threads.pop().join()


def whole_message(connection: socket.socket) -> bytes:
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(65536)
    head, _, body = came.partition(b"\r\n\r\n")
    [length] = [
        int(line[15:])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ] or [0]
    parts, size = [body], len(body)
    while size < length:
        parts.append(connection.recv(1 << 20))
        size += len(parts[-1])
    return head + b"\r\n\r\n" + b"".join(parts)


@pytest.fixture
def tape() -> Iterator[tuple[Tape, str]]:
    made = Tape()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        accepting = threading.Thread(target=made.accept, args=(listener,))
        accepting.start()
        yield made, f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    made.join()


Exchange = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def exchange(start: Any, tape: tuple[Tape, str], tasks: Workspace) -> Iterator[Exchange]:
    """`exchange(request, reply)` is what the provider heard and what the client got."""
    spoken, url = tape
    with start(url) as gateway:
        parts = urlsplit(gateway.url)

        def run(request: bytes, reply: bytes) -> tuple[bytes, bytes]:
            spoken.reply = reply
            with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as client:
                client.sendall(request)
                got = []
                while data := client.recv(1 << 20):
                    got.append(data)
            # The provider hangs up without a word: the next call must not meet a line that is
            # about to end.
            spoken.join()
            assert len(spoken.heard) == 1, b"".join(got)
            return spoken.heard.pop(), b"".join(got)

        yield run
        assert "Traceback" not in gateway.said()


def message(first: bytes, lines: RawHeaders, body: bytes) -> bytes:
    return b"\r\n".join([first, *(name + b": " + value for name, value in lines), b"", body])


def parted(raw: bytes) -> tuple[bytes, RawHeaders, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return first, [tuple(line.split(b": ", 1)) for line in lines], body  # type: ignore[misc]


LENGTH = b"content-length"


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(METHODS),
    target=TARGETS,
    up=LINES,
    down=LINES,
    asked=st.binary(max_size=300),
    said=st.binary(max_size=300),
    status=st.sampled_from(
        [200, 201, 202, 203, 206, 299, 301, 302, 307, 400, 404, 418, 451, 500, 599]
    ),
    reason=st.sampled_from([b"OK", b"Fine", b"", b"So be it"]),
)
def test_what_is_unknown_passes_byte_for_byte(
    exchange: Exchange,
    method: bytes,
    target: bytes,
    up: RawHeaders,
    down: RawHeaders,
    asked: bytes,
    said: bytes,
    status: int,
    reason: bytes,
) -> None:
    own = [(b"Host", b"127.0.0.1"), (b"Connection", b"close"), (LENGTH, b"%d" % len(asked))]
    request = message(b"%b %b HTTP/1.1" % (method, target), [*own, *up], asked)
    length = [(LENGTH, b"%d" % len(said))]
    reply = message(b"HTTP/1.1 %d %b" % (status, reason), [*down, *length], said)
    heard, got = exchange(request, reply)
    first, lines, body = parted(heard)
    assert (first, body) == (b"%b %b HTTP/1.1" % (method, target), asked)
    assert [line for line in lines if line[0] not in (b"host", LENGTH)] == up
    first, lines, body = parted(got)
    assert (first, body) == (b"HTTP/1.1 %d %b" % (status, reason), said)
    assert lines == [*down, *length, (b"connection", b"close")]


def plain(method: bytes, target: bytes, body: bytes = b"", *lines: bytes) -> bytes:
    own = [b"host: 127.0.0.1", b"connection: close", *lines]
    if body:
        own.append(b"content-length: %d" % len(body))
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", *own, b"", body])


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"302 Found"])
def test_replies_without_a_body_and_redirects_pass_as_they_are(
    exchange: Exchange, status: bytes
) -> None:
    lines = b"etag: x\r\nlocation: http://127.0.0.1:1/elsewhere\r\n"
    length = b"content-length: 0\r\n" if b"302" in status else b""
    heard, got = exchange(
        plain(b"GET", b"/v1/files/1"), b"HTTP/1.1 " + status + b"\r\n" + lines + length + b"\r\n"
    )
    assert heard.startswith(b"GET /v1/files/1 HTTP/1.1\r\n")
    assert got == b"HTTP/1.1 " + status + b"\r\n" + lines + length + b"connection: close\r\n\r\n"


def test_head_passes_with_the_length_that_a_get_would_have(exchange: Exchange) -> None:
    heard, got = exchange(
        plain(b"HEAD", b"/v1/models"), b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n"
    )
    assert heard.startswith(b"HEAD /v1/models HTTP/1.1\r\n")
    assert got == b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "path", [b"/v1/../x", b"/v1/%2e%2E/x", b"/v1/a/..%2f../x", b"/v1/..", b"/v1/..%5cx"]
)
def test_a_path_that_leads_out_of_the_base_url_is_refused(
    start: Any, upstream: Any, tasks: Workspace, path: bytes
) -> None:
    with start(upstream.url) as gateway:
        parts = urlsplit(gateway.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as client:
            client.sendall(plain(b"GET", path))
            assert client.recv(65536).startswith(b"HTTP/1.1 400 Bad Request")
    assert upstream.requests == []


def test_an_upload_in_parts_passes_byte_for_byte(exchange: Exchange) -> None:
    data = random.Random(1).randbytes(20_000_000)
    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="\xc3\xa9"\r\n\r\n' + data
    body += b"\r\n--b--\r\n"
    kind = b"content-type: multipart/form-data; boundary=b"
    heard, got = exchange(
        plain(b"POST", b"/v1/files", body, kind), b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert heard.partition(b"\r\n\r\n")[2] == body
    assert kind in heard
    assert got.endswith(b"\r\n\r\n{}")


def test_a_body_in_chunks_arrives_as_the_same_bytes(exchange: Exchange) -> None:
    pieces = [b"one ", b"\x00\xff", b"three"]
    body = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
    request = plain(b"PUT", b"/v1/files/1", b"", b"transfer-encoding: chunked")
    heard, _ = exchange(request + body, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert heard.endswith(b"content-length: 11\r\n\r\none \x00\xffthree")


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
def test_a_large_download_passes_byte_for_byte(exchange: Exchange, framing: str) -> None:
    data = random.Random(2).randbytes(20_000_000)
    if framing == "length":
        reply = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data
    elif framing == "chunks":
        reply = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    else:
        reply = b"HTTP/1.1 200 OK\r\n\r\n" + data
    # A client of the first version gets the body without chunks.
    request = plain(b"GET", b"/v1/files/1/content").replace(b"HTTP/1.1", b"HTTP/1.0")
    _, got = exchange(request, reply)
    assert got.partition(b"\r\n\r\n")[2] == data


def test_a_compressed_reply_passes_as_it_is(exchange: Exchange, tasks: Workspace) -> None:
    said = gzip.compress(b'{"data": []}')
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n" % len(said)
    accepts = b"accept-encoding: gzip, br"
    heard, got = exchange(plain(b"GET", b"/v1/models", b"", accepts), head + b"\r\n" + said)
    assert accepts in heard
    assert got == head + b"connection: close\r\n\r\n" + said


@pytest.mark.parametrize("name", ["anthropic", "openai_chat", "openai_responses"])
def test_a_call_of_twenty_megabytes_and_its_reply_pass_and_are_written_down(
    exchange: Exchange, tasks: Workspace, name: str
) -> None:
    spoken = dialect(name)
    text = "é" * 10_000_000
    asked = spoken.write_request(model="m", system="s", user="torn") | {"unknown": text}
    body = json.dumps(asked, ensure_ascii=False).encode()
    said = b'{"id": "x", "unknown": "' + text.encode() + b'"}'
    reply = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % len(said)
    )
    heard, got = exchange(plain(b"POST", b"/t/plain" + spoken.PATH.encode(), body), reply + said)
    assert heard.partition(b"\r\n\r\n")[2] == body
    assert got.partition(b"\r\n\r\n")[2] == said
    with Store(tasks.store_url) as store:
        assert store.counts().traces == 1

"""The server at its sockets: what is HTTP/1.1 is answered, what is not hears so once."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import re
import socket
import threading
from typing import Any

import pytest

CLOSE = b"connection: close\r\n"
HOST = b"host: 127.0.0.1\r\n"


def heads(reply: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 \d{3}[^\r]*", reply)


def told(reply: bytes) -> Any:
    """What the echo says that it got, in the last reply."""
    return json.loads(reply.rpartition(b"\r\n\r\n")[2])


def read_one(connection: socket.socket, method: str = "GET") -> tuple[int, bytes]:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response.status, response.read()


# ---- what is HTTP -------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_their_order(serving: Any) -> None:
    with serving() as (_, dial):
        many = b"".join(b"GET /%d HTTP/1.1\r\n" % n + HOST + b"\r\n" for n in range(50))
        reply = dial.talk(many + b"GET /last HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    targets = [
        json.loads(b"{" + part.partition(b"{")[2])["target"]
        for part in reply.split(b"HTTP/1.1 200 OK")[1:]
    ]
    assert targets == [f"/{n}" for n in range(50)] + ["/last"]


def test_a_chunked_body_arrives_whole_and_its_trailers_are_no_headers(serving: Any) -> None:
    body = b'3;ext="a"\r\nabc\r\n4\r\ndefg\r\n0\r\nx-trailer: 1\r\n\r\n'
    lines = b"POST /a HTTP/1.1\r\n" + HOST + CLOSE + b"transfer-encoding: Chunked\r\n\r\n"
    with serving() as (_, dial):
        got = told(dial.talk(lines, *[body[n : n + 1] for n in range(len(body))]))
    assert got["body"] == "abcdefg"
    assert "x-trailer" not in dict(got["headers"])


def test_headers_keep_their_spelling_order_and_repetition(serving: Any) -> None:
    lines = b"X-B: 1\r\nx-a: \xe9\r\nX-B:2\r\nx-empty:\r\n"
    with serving() as (_, dial):
        got = told(dial.talk(b"GET / HTTP/1.1\r\n" + lines + CLOSE + b"\r\n"))
    assert got["headers"][:4] == [["X-B", "1"], ["x-a", "é"], ["X-B", "2"], ["x-empty", ""]]


def test_a_client_that_asks_first_is_told_to_go_on(serving: Any) -> None:
    with serving() as (_, dial), dial.socket() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert json.loads(read_one(connection)[1])["body"] == "ok"


def test_a_pipelined_client_that_asks_first_is_told_when_its_turn_comes(
    serving: Any, until_closed: Any
) -> None:
    with serving() as (_, dial), dial.socket() as connection:
        connection.sendall(
            b"GET /chunks HTTP/1.1\r\n\r\n"
            b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n" + CLOSE + b"\r\n"
        )
        came = b""
        while b"100 Continue\r\n\r\n" not in came:
            came += connection.recv(1000)
        connection.sendall(b"ok")
        came += until_closed(connection)
    assert heads(came) == [b"HTTP/1.1 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 OK"]


def test_a_client_of_the_first_version_is_never_told_to_go_on(serving: Any) -> None:
    request = b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok"
    with serving() as (_, dial):
        assert heads(dial.talk(request)) == [b"HTTP/1.1 200 OK"]


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(serving: Any) -> None:
    request = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n"
    with serving(body=1000) as (echo, dial):
        assert [head[:12] for head in heads(dial.talk(request))] == [b"HTTP/1.1 413"]
    assert echo.arrived == []


def test_head_has_the_length_and_no_body(serving: Any) -> None:
    with serving() as (_, dial):
        reply = dial.talk(b"HEAD /a HTTP/1.1\r\n" + CLOSE + b"\r\n")
        streamed = dial.talk(b"HEAD /chunks HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert b"content-length: " in reply
    assert reply.endswith(b"\r\n\r\n")
    assert streamed.endswith(b"\r\n\r\n")


def test_no_content_has_neither_length_nor_body(serving: Any) -> None:
    with serving() as (_, dial):
        reply = dial.talk(b"GET /nothing HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert reply == b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("lines", [b"", b"connection: close\r\n"])
def test_a_connection_of_the_first_version_ends_after_its_reply(serving: Any, lines: bytes) -> None:
    with serving() as (_, dial):
        reply = dial.talk(b"GET /chunks HTTP/1.0\r\n" + lines + b"\r\n")
    assert reply.endswith(b"\r\n\r\none two three"), "a body without chunks, ended by the close"
    assert b"transfer-encoding" not in reply


def test_a_connection_of_the_first_version_is_kept_where_the_client_asks(serving: Any) -> None:
    with serving() as (_, dial), dial.socket() as connection:
        for _ in range(2):
            connection.sendall(b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.headers["connection"] == "keep-alive"
            response.read()


def test_a_connection_is_used_again_until_its_client_says_close(serving: Any) -> None:
    with serving() as (echo, dial), dial.socket() as connection:
        for path in (b"/chunks", b"/a", b"/nothing", b"/a"):
            connection.sendall(b"GET " + path + b" HTTP/1.1\r\n\r\n")
            assert read_one(connection)[0] in (200, 204)
        connection.sendall(b"GET /a HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert read_one(connection)[0] == 200
        assert connection.recv(1) == b""
    assert len(echo.arrived) == 5


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_an_offer_to_change_the_protocol_is_passed_over(serving: Any, framing: bytes) -> None:
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
    request = b"POST /a HTTP/1.1\r\n" + offer + framing
    last = b"GET /b HTTP/1.1\r\n" + CLOSE + b"\r\n"
    for pieces in ([request + last], [request[:70], request[70:], last]):
        with serving() as (echo, dial):
            reply = dial.talk(*pieces)
        assert echo.arrived == [b"/a", b"/b"]
        assert b'"hello"' in reply
        assert heads(reply) == [b"HTTP/1.1 200 OK"] * 2


def test_thousands_of_offers_in_one_piece_are_passed_over(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    offer = b"GET /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    with serving() as (echo, dial), dial.socket() as connection:
        reader = threading.Thread(
            target=lambda: [None for _ in iter(lambda: connection.recv(65536), b"")]
        )
        reader.start()
        connection.sendall(offer * 3000 + b"GET /b HTTP/1.1\r\n" + CLOSE + b"\r\n")
        reader.join()
    assert len(echo.arrived) == 3001
    assert caplog.records == []


def test_a_target_in_absolute_form_arrives_as_it_is(serving: Any) -> None:
    with serving() as (_, dial):
        got = told(dial.talk(b"GET http://127.0.0.1:1/v1/x?y=%2F HTTP/1.1\r\n" + CLOSE + b"\r\n"))
    assert got["target"] == "http://127.0.0.1:1/v1/x?y=%2F"


# ---- what is not HTTP ---------------------------------------------------------------------------

POST = b"POST /a HTTP/1.1\r\nhost: x\r\n"
BROKEN = {
    "both lengths": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
    "the length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"content-length: +3\r\n\r\nabc",
    "a negative length": POST + b"content-length: -1\r\n\r\n",
    "an overflowing length": POST + b"content-length: 99999999999999999999999\r\n\r\n",
    "a space before the colon": POST + b"content-length : 3\r\n\r\nabc",
    "a folded header": POST + b"x-a: 1\r\n 2\r\n\r\n",
    "a NUL": POST + b"x-a: 1\x002\r\n\r\n",
    "a control character": POST + b"x-a: 1\x012\r\n\r\n",
    "a bare CR": POST + b"x-a: 1\r2\r\n\r\n",
    "a bare LF in a header": POST + b"x-a: 1\nx-b: 2\r\n\r\n",
    "bare LFs": b"GET / HTTP/1.1\nhost: x\n\n",
    "bare LFs in chunks": POST + b"transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "a chunk that is longer": POST + b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "a chunk size that is none": POST + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
    "an overflowing chunk": POST + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n",
    "chunks that are not last": POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a header without a name": POST + b": 1\r\n\r\n",
    "a space in a name": POST + b"a b: 1\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "bytes in the target": b"GET /\xff HTTP/1.1\r\n\r\n",
    "a version to come": b"GET / HTTP/3.7\r\n\r\n",
    "the second version": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"BREW /pot HTTP/1.1\r\n\r\n",
    "a small method": b"get / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_what_is_not_http_is_refused_once_and_hands_nothing_on(serving: Any, kind: str) -> None:
    with serving() as (echo, dial):
        reply = dial.talk(BROKEN[kind] + b"GET /smuggled HTTP/1.1\r\n\r\n")
    assert heads(reply) == [b"HTTP/1.1 400 Bad Request"]
    assert echo.arrived == []


def test_what_came_before_nonsense_is_answered(serving: Any) -> None:
    with serving() as (_, dial):
        reply = dial.talk(b"GET /a HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    assert heads(reply) == [b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request"]


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"xchunked", b"identity"])
def test_a_coding_that_nobody_undoes_is_refused(serving: Any, coding: bytes) -> None:
    with serving() as (echo, dial):
        reply = dial.talk(POST + b"transfer-encoding: " + coding + b"\r\n\r\n0\r\n\r\n")
    assert heads(reply)[0][9:12] in (b"400", b"501")
    assert echo.arrived == []


def test_a_tunnel_is_refused(serving: Any) -> None:
    with serving() as (_, dial):
        reply = dial.talk(b"CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\nhello")
    assert heads(reply) == [b"HTTP/1.1 405 Method Not Allowed"]


@pytest.mark.parametrize("line", [b"x-long: " + b"a" * 400_000, b"x: 1\r\n" * 70_000])
def test_a_head_that_is_too_long_is_refused(serving: Any, line: bytes) -> None:
    with serving(headers=10_000) as (echo, dial):
        reply = dial.talk(b"GET / HTTP/1.1\r\n" + line)
    assert heads(reply) == [b"HTTP/1.1 431 Request Header Fields Too Large"]
    assert echo.arrived == []


def test_a_client_sees_why_its_long_body_is_refused_though_it_goes_on_sending(serving: Any) -> None:
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    with serving(body=100_000) as (echo, dial):
        reply = dial.talk(POST + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 100)
        stated = dial.talk(POST + b"content-length: 9000000\r\n\r\n", *[b"a" * 900_000] * 10)
    for one in (reply, stated):
        assert [head[:12] for head in heads(one)] == [b"HTTP/1.1 413"]
        assert b"100,000 bytes" in one
    assert echo.arrived == []


# ---- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nx-a: 1\r\n", POST + b"content-length: 9\r\n\r\nabc"],
)
def test_a_request_that_does_not_arrive_is_given_up(
    serving: Any, until_closed: Any, begun: bytes
) -> None:
    with serving(request_s=0.1) as (echo, dial), dial.socket() as connection:
        connection.sendall(begun)
        assert until_closed(connection) == b""
    assert echo.arrived == []


def test_a_request_that_drips_in_is_given_up(serving: Any) -> None:
    closed = threading.Event()
    with serving(request_s=0.5) as (echo, dial), dial.socket() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.settimeout(0.05)
        while not closed.is_set():
            try:
                connection.sendall(b"x-a: 1\r\n")
                closed.set() if connection.recv(1) == b"" else None
            except TimeoutError:
                continue
            except ConnectionError:
                closed.set()
    assert echo.arrived == []


def test_an_idle_connection_is_closed(serving: Any, until_closed: Any) -> None:
    with serving(idle_s=0.1) as (_, dial), dial.socket() as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\n\r\n")
        assert heads(until_closed(connection)) == [b"HTTP/1.1 200 OK"]


def test_a_call_that_takes_longer_than_a_request_may_is_not_cut(serving: Any) -> None:
    with serving(request_s=0.1, idle_s=0.1, stalled_s=0.1) as (echo, dial):
        with dial.socket() as connection:
            connection.sendall(b"GET /hold HTTP/1.1\r\n\r\n")
            connection.settimeout(2.5)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        while not echo.gone:
            pass
    assert echo.gone == [b"/hold"]


# ---- clients that take nothing, or leave ---------------------------------------------------------


def test_a_client_that_never_reads_is_sent_no_more_than_a_buffer_and_then_cut(serving: Any) -> None:
    with serving(stalled_s=1.0) as (echo, dial), dial.socket(receive_buffer=4096) as connection:
        connection.sendall(b"GET /flood?3200 HTTP/1.1\r\n\r\n")
        while not echo.gone:
            pass
    assert echo.written < 16 * 2**20, "of 200 MiB: what the sockets and the buffer hold"


@pytest.mark.parametrize("kind", [b"whole", b"flood"])
@pytest.mark.parametrize("last", [b"", CLOSE])
def test_a_slow_client_gets_its_whole_reply(serving: Any, kind: bytes, last: bytes) -> None:
    size = 100 * 65536
    path = b"/whole?%d" % size if kind == b"whole" else b"/flood?100"
    limits = {"idle_s": 0.1, "stalled_s": 3.0, "request_s": 3.0}
    with serving(**limits) as (_, dial), dial.socket(receive_buffer=4096) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\n" + last + b"\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        got = len(response.read(65536))
        # Longer than an idle connection is kept, and than the server takes for a look around.
        threading.Event().wait(2.2)
        got += len(response.read())
    assert got == size


def test_a_client_that_takes_nothing_of_a_finished_reply_is_cut(
    serving: Any, until_closed: Any
) -> None:
    with serving(stalled_s=0.5) as (echo, dial), dial.socket(receive_buffer=4096) as connection:
        connection.sendall(b"GET /whole?50000000 HTTP/1.1\r\n" + CLOSE + b"\r\n")
        while not echo.arrived:
            pass
        while echo.server.clients:
            pass
        assert len(until_closed(connection)) < 50_000_000


def test_a_client_that_goes_away_is_told_of(serving: Any) -> None:
    for leave in ("close", "half", "reset"):
        with serving() as (echo, dial):
            connection = dial.socket()
            connection.sendall(b"GET /hold HTTP/1.1\r\n\r\n")
            while not echo.arrived:
                pass
            if leave == "half":
                connection.shutdown(socket.SHUT_WR)
            elif leave == "reset":
                linger = b"\1\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if leave != "half":
                connection.close()
            while not echo.gone:
                pass
            connection.close()
        assert echo.gone == [b"/hold"]


# ---- handlers that do not end --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/half", "/sized-half"])
def test_a_reply_without_its_end_is_seen_as_such_with_all_that_came(
    serving: Any, path: str
) -> None:
    with serving() as (_, dial), dial.socket() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
        assert response.read1() == b"" or caught.value.partial == b"half"


def test_a_reply_without_length_and_end_is_reset(serving: Any) -> None:
    with serving() as (_, dial), dial.socket() as connection:
        connection.sendall(b"GET /half HTTP/1.0\r\n\r\n")
        http.client.HTTPResponse(connection).begin()
        with pytest.raises(ConnectionResetError):
            connection.recv(1000)


def test_a_handler_that_fails_costs_its_own_call_only(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with serving() as (echo, dial), dial.socket() as connection:
        connection.sendall(b"GET /wrong HTTP/1.1\r\n\r\n")
        assert read_one(connection)[0] == 500
        connection.sendall(b"GET /a HTTP/1.1\r\n\r\n")
        assert read_one(connection)[0] == 200
    assert echo.server.failed == 1
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "a bug" in str(record.exc_info)


# ---- the end ------------------------------------------------------------------------------------


def test_the_end_waits_for_replies_that_are_on_their_way_to_a_slow_client(serving: Any) -> None:
    with contextlib.ExitStack() as late:
        with serving() as (echo, dial):
            connection = late.enter_context(dial.socket(receive_buffer=4096))
            connection.sendall(b"GET /whole?20000000 HTTP/1.1\r\n\r\n")
            response = http.client.HTTPResponse(connection)
            response.begin()
            got: list[bytes] = []
            taking = threading.Timer(0.3, lambda: got.append(response.read()))
            taking.start()
        taking.join()
    assert len(got[0]) == 20_000_000
    assert echo.cut == 0


def test_the_end_cuts_off_who_takes_too_long(serving: Any) -> None:
    with serving(drain_s=0.2) as (echo, dial):
        connection = dial.socket()
        connection.sendall(b"GET /hold HTTP/1.1\r\n\r\n")
        while not echo.arrived:
            pass
    connection.close()
    assert echo.cut == 1
    assert echo.gone == [b"/hold"]

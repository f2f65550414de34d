"""The gateway in front of a provider whose every byte is known."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.serve.asking import REPLY, ask, health, only, post, written

from limbeck.errors import StoreError
from limbeck.models.dialects import openai_chat
from limbeck.models.dialects.table import dialect
from limbeck.store.store import Store
from limbeck.types import Task, Trace

SECRET = "sk-planted-0123456789"
# ---- passing ------------------------------------------------------------------------------------


def test_a_reply_passes_with_its_very_bytes_and_headers(
    provider: Any, whole: Any, gateway: Any, name: str
) -> None:
    body = written(name)
    theirs = b"x-one: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nrequest-id: req_theirs\r\n"
    provider.replies = [whole(body, headers=theirs)]
    with gateway() as url:
        response = ask(url, name)
    assert response.data == body
    assert response.headers.getlist("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-one"] == "1"
    assert response.headers["x-limbeck-request-id"] == "req_theirs"


def test_a_request_passes_with_its_very_bytes_and_query(
    provider: Any, whole: Any, gateway: Any, name: str
) -> None:
    spoken = dialect(name)
    request = spoken.write_request(model="m", system="s", user="naïve") | {"unknown_field": [1]}
    body = json.dumps(request, indent=5, ensure_ascii=False).encode()
    provider.replies = [whole(written(name))]
    with gateway() as url:
        post(
            url,
            f"{spoken.PATH}?beta=true&x=%2F",
            body,
            anthropic_beta="one,two",
            connection="x-hop",
            x_hop="1",
            x_limbeck_key="row-1",
        )
    [(head, sent)] = provider.requests
    assert sent == body
    assert head.startswith(f"POST {spoken.PATH}?beta=true&x=%2F HTTP/1.1".encode())
    assert b"anthropic-beta: one,two" in head
    assert b"x-hop" not in head
    assert b"x-limbeck" not in head.lower()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("429 Too Many Requests", b'{"type":"error","error":{"message":"slow down"}}'),
        ("529 Overloaded", b'{"type":"error","error":{"message":"Overloaded"}}'),
        ("500 Internal Server Error", b"<html>oops</html>"),
    ],
)
def test_an_error_of_the_teacher_passes_as_it_is_and_is_recorded(
    provider: Any, whole: Any, gateway: Any, store: Store, status: str, body: bytes
) -> None:
    provider.replies = [whole(body, status, b"retry-after: 7\r\n")]
    with gateway() as url:
        response = ask(url)
        assert health(url)["teacher_refusals"] == 1
    assert (response.status, response.data) == (int(status[:3]), body)
    assert response.headers["retry-after"] == "7"
    trace = only(store)
    assert (trace.status, trace.stop_reason) == ("error", f"http_{status[:3]}")
    assert trace.raw is None
    assert response.headers["x-limbeck-trace-id"] == trace.id


def test_a_compressed_reply_passes_compressed_and_is_read(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    packed = gzip.compress(written("anthropic"))
    provider.replies = [whole(packed, headers=b"content-encoding: gzip\r\n")]
    with gateway() as url:
        assert ask(url).json()["content"][0]["text"] == REPLY.text
    assert b"accept-encoding: identity" in provider.requests[0][0].lower()
    assert only(store).answer == "grant"


def test_a_teacher_that_hangs_up_before_its_reply_is_a_502_in_the_clients_dialect(
    provider: Any, gateway: Any, store: Store, name: str
) -> None:
    for reply in ([], [b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf"]):
        provider.replies = [reply]
        with gateway() as url:
            response = ask(url, name)
            assert health(url)["teacher_failures"] == 1
        assert response.status == 502
        assert "hung up" in (dialect(name).read_error(response.json()) or "")
    assert [trace.status for trace in store.traces("refunds")] == ["error", "error"]


def test_a_body_that_is_no_call_goes_to_the_teacher_who_knows_what_to_say(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(b'{"error": "not JSON"}', "400 Bad Request")]
    with gateway() as url:
        response = post(url, "/v1/messages", b"{half")
        assert health(url)["unread"] == 1
    assert (response.status, response.data) == (400, b'{"error": "not JSON"}')
    assert provider.requests[0][1] == b"{half"
    assert store.counts().traces == 0


def test_a_reply_that_cannot_be_read_still_reaches_its_client(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(b"not even JSON")]
    with gateway() as url:
        assert ask(url).data == b"not even JSON"
    assert only(store).stop_reason == "unreadable"


def test_other_paths_pass_unread_to_the_provider_that_they_belong_to(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(b'{"input_tokens": 7}'), whole(b"[]"), whole(b'{"data": []}')]
    with gateway() as url, urllib3.PoolManager() as pool:
        counted = post(url, "/t/refunds/v1/messages/count_tokens?beta=true", {})
        batch = pool.request("GET", f"{url}/v1/messages/batches/a%20b")
        models = pool.request("GET", f"{url}/v1/models")
    assert (counted.data, batch.data, models.data) == (
        b'{"input_tokens": 7}',
        b"[]",
        b'{"data": []}',
    )
    first_lines = [head.split(b"\r\n")[0] for head, _ in provider.requests]
    assert first_lines == [
        b"POST /v1/messages/count_tokens?beta=true HTTP/1.1",
        b"GET /v1/messages/batches/a%20b HTTP/1.1",
        b"GET /v1/models HTTP/1.1",
    ]
    assert store.counts().traces == 0


# ---- streams ------------------------------------------------------------------------------------


def test_a_stream_passes_with_its_very_bytes(
    provider: Any, chunked: Any, gateway: Any, store: Store, name: str
) -> None:
    wire = b"".join(dialect(name).write_stream(REPLY))
    pieces = [wire[start : start + 7] for start in range(0, len(wire), 7)]
    provider.replies = [chunked(*pieces, headers=b"request-id: req_theirs\r\n")]
    with gateway() as url:
        response = ask(url, name, stream=True)
    assert response.data == wire
    trace = only(store)
    assert (trace.raw, trace.answer, trace.usage) == (REPLY.text, "grant", REPLY.usage)
    assert trace.provenance.request_id == response.headers["x-limbeck-request-id"] == "req_theirs"


def test_counts_that_the_client_did_not_ask_for_are_taken_and_not_shown(
    provider: Any, chunked: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [chunked(b"".join(openai_chat.write_stream(REPLY, with_usage=True)))]
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "q"}]}
    with gateway() as url:
        response = post(url, openai_chat.PATH, body, x_limbeck_task="refunds")
    assert json.loads(provider.requests[0][1])["stream_options"] == {"include_usage": True}
    assert response.data == b"".join(openai_chat.write_stream(REPLY, with_usage=False))
    assert only(store).usage == REPLY.usage


def test_a_stream_is_not_held_back(provider: Any, chunked: Any, gateway: Any) -> None:
    first, *rest = dialect("anthropic").write_stream(REPLY)
    client_has_the_first = threading.Event()
    provider.replies = [chunked(first, client_has_the_first.wait, b"".join(rest))]
    with gateway() as url:
        connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]))
        body = dialect("anthropic").write_request(model="m", system="", user="q", stream=True)
        connection.request("POST", "/v1/messages", json.dumps(body))
        response = connection.getresponse()
        # The provider sends no more before this has arrived.
        assert response.read(len(first)) == first
        client_has_the_first.set()
        assert response.read() == b"".join(rest)
        connection.close()


class Slow:
    """A store whose commit gives a client the time to finish too early."""

    def __init__(self) -> None:
        self.client_finished = threading.Event()
        self.too_early: list[bool] = []

    def append(self, traces: Sequence[Trace], blobs: object) -> None:
        self.too_early.append(self.client_finished.wait(0.3))

    def settle(self) -> int:
        return 0

    def sort_in(self) -> int:
        return 0


def test_no_reply_leaves_before_its_trace_is_on_disk(
    provider: Any, whole: Any, gateway: Any, name: str
) -> None:
    slow = Slow()
    provider.replies = [whole(written(name))]
    with gateway(kept=slow) as url:
        assert ask(url, name).status == 200
        slow.client_finished.set()
    assert slow.too_early == [False]


def test_no_stream_says_that_it_is_over_before_its_trace_is_on_disk(
    provider: Any, chunked: Any, gateway: Any, name: str
) -> None:
    slow = Slow()
    *events, last = dialect(name).write_stream(REPLY)
    provider.replies = [chunked(*events, last)]
    with gateway(kept=slow) as url:
        connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]))
        spoken = dialect(name)
        body = spoken.write_request(model="m", system="", user="q", stream=True)
        connection.request("POST", spoken.PATH, json.dumps(body))
        response = connection.getresponse()
        received = b""
        while last not in received:
            received += response.read1()
        slow.client_finished.set()
        response.read()
        connection.close()
    assert slow.too_early == [False]


def test_a_teacher_that_hangs_up_in_a_stream_is_passed_on_as_such(
    provider: Any, chunked: Any, gateway: Any, store: Store, name: str
) -> None:
    sent = b"".join(list(dialect(name).write_stream(REPLY))[:-2])
    provider.replies = [chunked(sent, end=False)]
    with gateway() as url, pytest.raises(urllib3.exceptions.ProtocolError):
        ask(url, name, stream=True)
    trace = only(store)
    assert (trace.status, trace.stop_reason) == ("error", "teacher_hung_up")
    assert trace.raw
    assert REPLY.text.startswith(trace.raw)


def test_a_client_that_leaves_a_stream_is_recorded_with_what_had_come(
    provider: Any, chunked: Any, gateway: Any, store: Store
) -> None:
    events = list(dialect("anthropic").write_stream(REPLY))
    over = threading.Event()
    provider.replies = [chunked(*events[:3], over.wait, end=False)]
    with gateway() as url:
        connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]))
        body = dialect("anthropic").write_request(model="m", system="", user="q", stream=True)
        connection.request("POST", "/v1/messages", json.dumps(body))
        response = connection.getresponse()
        # All that comes before the provider waits: what is said is in the last of it.
        response.read(len(b"".join(events[:3])))
        response.close()
        connection.close()
        while health(url)["recorded"] == 0:
            pass
        over.set()
    trace = only(store, None)
    assert (trace.status, trace.stop_reason) == ("cut_off", "client_disconnected")
    assert trace.raw


def test_an_error_event_in_a_stream_is_an_error_in_the_store(
    provider: Any, chunked: Any, gateway: Any, store: Store
) -> None:
    start = next(dialect("anthropic").write_stream(REPLY))
    error = b'event: error\ndata: {"type":"error","error":{"message":"Overloaded"}}\n\n'
    provider.replies = [chunked(start, error)]
    with gateway() as url:
        assert ask(url, stream=True).data == start + error
    assert only(store).status == "error"


# ---- recording ----------------------------------------------------------------------------------


def test_a_recorded_call_holds_what_was_asked_said_and_paid(
    provider: Any, whole: Any, gateway: Any, store: Store, task: Task, name: str
) -> None:
    provider.replies = [whole(written(name), headers=b"x-limbeck-simulated: 1\r\n")]
    with gateway() as url:
        response = ask(url, name, x_limbeck_key="row-7")
    trace = only(store)
    assert trace.id == response.headers["x-limbeck-trace-id"]
    assert (trace.input, trace.raw, trace.answer) == ("A pan, torn.", REPLY.text, "grant")
    assert trace.rationale is not None
    assert trace.rationale.text == "It is whole."
    assert trace.status == "ok"
    assert trace.usage == REPLY.usage
    # A model that no price list knows: at Anthropic a cache saves nine tenths, elsewhere who knows.
    cached = 0.3 if name == "anthropic" else 3
    assert trace.cost_usd == pytest.approx((900 * 3 + 100 * cached + 200 * 15) / 1e6)
    assert trace.latency_s is not None
    assert trace.provenance.source == "gateway"
    assert trace.provenance.generator == "teacher-1"
    assert trace.provenance.simulated
    assert trace.provenance.correlation == "row-7"
    assert trace.provenance.skeleton == task.skeleton
    assert store.find(correlation="row-7") == trace.id
    assert store.verify() == []


def test_a_thinking_block_is_the_rationale(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    reply = replace(REPLY, thinking="Torn is torn.", text="Answer: deny")
    provider.replies = [whole(written("anthropic", reply))]
    with gateway() as url:
        ask(url)
    trace = only(store)
    assert trace.thinking == "Torn is torn."
    assert trace.rationale is not None
    assert trace.rationale.origin == "native"


@pytest.mark.parametrize(
    ("path", "header", "model", "owner", "asked"),
    [
        ("/v1/messages", "refunds", "teacher-1", "refunds", "teacher-1"),
        ("/t/refunds/v1/messages", None, "teacher-1", "refunds", "teacher-1"),
        ("/v1/messages", None, "limbeck/refunds", "refunds", "teacher-1"),
        ("/v1/messages", None, "teacher-1", None, "teacher-1"),
    ],
)
def test_a_call_belongs_to_a_task_by_header_path_or_alias(
    provider: Any,
    whole: Any,
    gateway: Any,
    store: Store,
    path: str,
    header: str | None,
    model: str,
    owner: str | None,
    asked: str,
) -> None:
    provider.replies = [whole(written("anthropic"))]
    body = dialect("anthropic").write_request(model=model, system="", user="q")
    with gateway() as url:
        named = {"x_limbeck_task": header} if header else {}
        assert post(url, path, body, **named).status == 200
    assert json.loads(provider.requests[0][1])["model"] == asked
    assert only(store, owner).task == owner


def test_a_task_that_is_not_there_is_refused_before_anything_is_paid(
    provider: Any, gateway: Any, name: str
) -> None:
    with gateway() as url:
        response = ask(url, name, x_limbeck_task="refund")
    assert response.status == 400
    assert "task is 'refund'; wanted one of" in (dialect(name).read_error(response.json()) or "")
    assert provider.requests == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_task_that_is_off_is_answered_and_not_recorded(
    provider: Any, whole: Any, chunked: Any, gateway: Any, store: Store, stream: bool
) -> None:
    wire = b"".join(dialect("anthropic").write_stream(REPLY))
    provider.replies = [chunked(wire) if stream else whole(written("anthropic"))]
    with gateway(mode="off") as url:
        assert ask(url, stream=stream).data == (wire if stream else written("anthropic"))
    assert store.counts().traces == 0


class Broken:
    def append(self, traces: Sequence[Trace], blobs: object) -> None:
        raise StoreError("the disk is full")

    def settle(self) -> int:
        return 0

    def sort_in(self) -> int:
        return 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_store_that_fails_is_counted_and_never_fails_the_client(
    provider: Any, whole: Any, chunked: Any, gateway: Any, stream: bool
) -> None:
    wire = b"".join(dialect("anthropic").write_stream(REPLY))
    provider.replies = [chunked(wire) if stream else whole(written("anthropic"))]
    with gateway(kept=Broken()) as url:
        response = ask(url, stream=stream)
        seen = health(url)
    assert response.data == (wire if stream else written("anthropic"))
    assert "x-limbeck-trace-id" not in response.headers
    assert (seen["status"], seen["unrecorded"], seen["recorded"]) == ("degraded", 1, 0)
    assert seen["last_store_error"] == "StoreError: the disk is full"


def test_secrets_reach_the_teacher_and_nothing_else(
    provider: Any,
    whole: Any,
    gateway: Any,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED_KEY", f"{SECRET}-own")
    refusal = b'{"type":"error","error":{"message":"invalid x-api-key"}}'
    provider.replies = [whole(written("anthropic")), whole(refusal, "401 Unauthorized")]
    provider.replies += [[], whole(written("openai_chat"))]
    with gateway() as url:
        ask(url, x_api_key=SECRET)
        ask(url, authorization=f"Bearer {SECRET}")
        ask(url, x_api_key=SECRET)
        ask(url, "openai_chat")
        assert SECRET not in json.dumps(health(url))
    heads = [head.decode().lower() for head, _ in provider.requests]
    assert f"x-api-key: {SECRET}" in heads[0]
    assert f"authorization: bearer {SECRET}" in heads[1]
    assert f"authorization: bearer {SECRET}-own" in heads[3]
    assert f"{SECRET}-own" not in heads[0]
    assert store.counts().traces == 4
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


# ---- outcomes and the guard ---------------------------------------------------------------------


def test_outcomes_find_their_trace_by_any_of_its_names(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(written("anthropic"))]
    with gateway() as url:
        sent = ask(url, x_limbeck_key="row-1").headers
        path = "/limbeck/v1/outcomes"
        by_id = post(url, path, {"trace_id": sent["x-limbeck-trace-id"], "correct": False})
        rest = post(
            url,
            path,
            [
                {"request_id": sent["x-limbeck-request-id"], "value": "grant", "source": "human"},
                {"correlation": "row-1", "value": "deny", "source": "gold"},
                {"correlation": "row-2", "value": "deny"},
                {"trace_id": "x", "correlation": "row-1", "value": "deny"},
                {"correlation": "row-1", "valeu": "deny"},
            ],
        )
        unread = post(url, path, b"{half")
        missing = post(url, path, {"request_id": "req_0", "correct": True})
    assert by_id.status == 200
    assert rest.status == 207
    results = rest.json()["results"]
    assert [result["status"] for result in results] == [200, 200, 202, 422, 422]
    assert results[2]["note"] == "kept until its trace comes"
    assert "wanted exactly one of" in results[3]["error"]
    assert "valeu" in results[4]["error"]
    assert (unread.status, missing.status) == (400, 202)
    [truth] = store.truths("refunds").values()
    assert (truth.value, truth.source) == ("deny", "gold")
    assert store.counts().outcomes == 3


@pytest.mark.parametrize(
    ("header", "value"), [("origin", "https://example.org"), ("host", "example.org:80")]
)
def test_a_web_page_does_not_reach_the_gateway(
    provider: Any, gateway: Any, header: str, value: str
) -> None:
    with gateway() as url:
        response = post(url, "/v1/messages", {}, **{header: value})
        local = {"origin": "http://localhost:3000", "x_limbeck_task": "none"}
        body = dialect("anthropic").write_request(model="m", system="", user="q")
        assert post(url, "/v1/messages", body, **local).status == 400
    assert response.status == 403
    assert f"header {header} is {value!r}" in response.json()["error"]["message"]
    assert provider.requests == []

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from limbeck.errors import ConfigError, TeacherError, UncertainError
from limbeck.models.batches.connection import Connection

Connect = Callable[..., Connection]


def said(status: int, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps(body).encode()


def test_a_busy_upstream_is_asked_again_after_the_time_that_it_wants(
    upstream: Any, connect: Connect
) -> None:
    upstream.script = [said(529, {}), said(429, {}, retry_after_ms="1500"), said(200, {"id": 1})]
    waits: list[float] = []
    assert connect(waits=waits).get("/v1/messages/batches/x").body == {"id": 1}
    assert len(waits) == 2
    assert waits[1] == 1.5
    assert [path for _, path, _, _ in upstream.requests] == ["/v1/messages/batches/x"] * 3


@pytest.mark.parametrize("step", [None, (500, {}, b"{}"), (503, {}, b""), (200, {}, b"<html>")])
def test_what_must_not_come_twice_is_sent_once_where_nobody_knows(
    upstream: Any, connect: Connect, step: Any
) -> None:
    upstream.script = [step]
    with pytest.raises(UncertainError):
        connect().post("/v1/messages/batches", b"{}")
    assert len(upstream.requests) == 1


def test_what_was_turned_away_unread_is_sent_again(upstream: Any, connect: Connect) -> None:
    upstream.script = [said(429, {}), said(529, {}), said(200, {"id": "b"})]
    assert connect().post("/v1/messages/batches", b"{}").body == {"id": "b"}


def test_a_refusal_says_why_and_never_the_key(upstream: Any, connect: Connect) -> None:
    error = {"type": "error", "error": {"type": "x", "message": "secret-key is no key"}}
    upstream.script = [said(401, error)]
    with pytest.raises(TeacherError, match="check the upstream's key") as caught:
        connect().post("/v1/messages/batches", b"{}")
    assert not isinstance(caught.value, UncertainError)
    assert "[key] is no key" in str(caught.value)
    assert "secret-key" not in str(caught.value)


def test_an_upstream_without_a_batch_api_is_named(upstream: Any, connect: Connect) -> None:
    upstream.script = [said(404, {})]
    with pytest.raises(TeacherError, match="--no-batch"):
        connect("openai_chat").upload("/v1/files", {"purpose": "batch"})


def test_nobody_there_is_no_uncertainty(connect: Connect) -> None:
    gone = Connection("http://127.0.0.1:9", "anthropic", attempts=2, sleep=lambda _: None)
    with pytest.raises(TeacherError, match="could not be reached") as caught:
        gone.post("/v1/messages/batches", b"{}")
    assert not isinstance(caught.value, UncertainError)


def test_a_file_is_sent_again_because_it_costs_nothing(upstream: Any, connect: Connect) -> None:
    upstream.script = [None, said(200, {"id": "file"})]
    form = {"purpose": "batch", "file": ("a.jsonl", b"{}\n", "application/jsonl")}
    assert connect("openai_chat").upload("/v1/files", form).body == {"id": "file"}
    _, path, headers, body = upstream.requests[-1]
    assert path == "/v1/files"
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="purpose"\r\n\r\nbatch' in body
    assert headers["authorization"] == "Bearer secret-key"


def test_lines_that_break_off_go_on_after_the_last_whole_one(
    upstream: Any, connect: Connect
) -> None:
    whole = b"one\ntwo\nthree\nfour\n"
    broken = (200, {"content-length": str(len(whole))}, whole[:10])
    upstream.script = [broken, (200, {}, whole)]
    assert list(connect().lines("/results")) == [b"one", b"two", b"three", b"four"]


def test_lines_that_are_refused_raise(upstream: Any, connect: Connect) -> None:
    upstream.script = [said(400, {})]
    with pytest.raises(TeacherError, match="status 400"):
        list(connect().lines("/results"))


def test_lines_of_a_busy_upstream_come_later(upstream: Any, connect: Connect) -> None:
    waits: list[float] = []
    upstream.script = [said(503, {}, retry_after="2"), (200, {}, b"one\n")]
    assert list(connect(waits=waits).lines("/results")) == [b"one"]
    assert waits == [2.0]


def test_a_base_url_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        Connection("ftp://user:hidden@x", "anthropic")
    assert "hidden" not in str(caught.value)

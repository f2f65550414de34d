"""Requests and replies that mean harm, or nothing: no failure of the gateway's own, ever."""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from limbeck.models.dialects.table import TABLE, dialect
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client
from limbeck.store.store import Store
from limbeck.workspace import Workspace

TASKS = ("plain", "inline", "schema", "fields", "redacted", "unrecorded")

TOOL = {
    "name": "decide",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"answer": {"type": "string"}}},
}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
BODIES: dict[str, dict[str, Any]] = {
    "anthropic": {
        "model": "teacher-1",
        "max_tokens": 100,
        "stream": True,
        "system": [{"type": "text", "text": "Decide.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "A pan"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}]},
            {"role": "user", "content": [{"type": "text", "text": "Row 1: torn"}, IMAGE]},
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "decide"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "metadata": {"user_id": "u", "order": "7"},
        "stop_sequences": ["x"],
        "temperature": 1.0,
    },
    "openai_chat": {
        "model": "teacher-1",
        "max_completion_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": False},
        "messages": [
            {"role": "system", "content": "Decide."},
            {"role": "user", "content": [{"type": "text", "text": "Row 1: torn"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "decide", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "decide"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
        },
        "metadata": {"order": "7"},
        "n": 1,
    },
    "openai_responses": {
        "model": "teacher-1",
        "max_output_tokens": 100,
        "stream": True,
        "instructions": "Decide.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Row 1: torn"}]}],
        "tools": [{"type": "function", "name": "decide", "parameters": SCHEMA, "strict": True}],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
        "reasoning": {"effort": "low"},
        "metadata": {"order": "7"},
    },
}
DEEP: Any = 1
for _ in range(90):
    DEEP = [DEEP, {"a": DEEP}] if _ < 3 else [DEEP]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, 10**30, "", "x", "\x00", "\ud800", "a\udfffb", "é" * 300,
    "Row 1: \x00 mail a@b.example 4111 1111 1111 1111", [], {}, [[]], [None], [{}], {"type": None},
    {"type": "text"}, {"type": "text", "text": None}, [{"type": "text", "text": 7}], {"": ""},
    {"\ud800": 1}, DEEP, [1, "a", None], {"role": "user"}, [{"role": "user", "content": None}],
]  # fmt: skip
RAW = [
    b"", b"null", b"[]", b"7", b'"x"', b"{", b"{}", b"\xff\xfe", b'{"model":"\xff"}', b"\xef\xbb\xbf{}",
    b"[" * 100_000, b'{"a":' * 50_000, b'{"model":' + b"9" * 10_000 + b"}", b'{"model":1e999}',
    b'{"model":NaN,"messages":[]}', b'{"messages":[{"role":"user","content":"\\ud800"}]}',
    b'{"max_tokens":' + b"1" * 5000 + b',"model":"limbeck/plain","messages":[]}', b"{}" * 1000,
    b'{"model":"limbeck/plain","max_tokens":-Infinity,"messages":[{"role":"user","content":"x"}]}',
    b'{"model":"a","model":"b","messages":1,"messages":[]}', b" " * 100_000, b"\x00" * 100,
    '{"model":"x","messages":[]}'.encode("utf-16"), b"--x\r\ncontent-disposition: form-data\r\n\r\n",
]  # fmt: skip
PATHS = [
    "/v1/messages", "/v1/messages?beta=true", "/v1/chat/completions", "/v1/responses", "/v1/messages/",
    "/v1/messages/count_tokens", "/v1//messages", "//v1/messages", "/v1/../v1/messages", "/v1/%2e%2e/x",
    "/t/plain/v1/messages", "/t/none/v1/messages", "/t//v1/messages", "/t/%ff%fe/v1/messages",
    "/t/plain", "/t/plain/u/none/v1/messages", "/u/anthropic/v1/models", "/u/none/v1/models",
    "/t/..%2f..%2fetc/v1/messages", "/limbeck/v1/outcomes", "/limbeck/v1/outcomes/", "/limbeck/x",
    "/limbeck/../v1/messages", "/v1/messages#x", "/v1/messages;x", "/v1/messages?" + "q" * 20_000,
    "*", "http://127.0.0.1/v1/messages", "http://", "x", "/", "/%00", "/t/%00/v1/messages",
    "/limbeck/metrics", "/favicon.ico",
]  # fmt: skip
HEADERS = [
    ("x-limbeck-task", "plain"), ("x-limbeck-task", "none"), ("x-limbeck-task", "\xff\xe9"),
    ("x-limbeck-task", "../../etc/passwd"), ("x-limbeck-key", "a\tb"), ("x-limbeck-key", "k" * 5000),
    ("x-limbeck-key", "\xff"), ("x-limbeck-subject", "s" * 5000), ("x-limbeck-subject", "'; DROP"),
    ("content-type", "text/plain"), ("content-encoding", "gzip"), ("accept-encoding", "gzip, br"),
    ("authorization", "Bearer \xff"), ("x-api-key", ""), ("anthropic-version", "\xe9"),
    ("connection", "x-limbeck-task, content-type"), ("connection", ",,, ,"), ("te", "trailers"),
    ("x-forwarded-for", "1.2.3.4"), ("cookie", "a=" + "b" * 10_000), ("x-limbeck-task", ""),
    ("expect", "the unexpected"), ("upgrade", "websocket"), ("accept", "\x7f\x80"[1:]),
]  # fmt: skip
OUTCOMES: list[Any] = [
    {"correlation": "k", "correct": True}, {"correlation": "\ud800", "value": "\ud800"}, {"trace_id": "x"},
    {"request_id": "\x00", "value": "\x00"}, {"correlation": 7, "value": "x"}, [1], [[]], [None], "x", None,
    [{"correlation": "k", "value": "v"}] * 50, {"correlation": "k", "at": "yesterday", "correct": False},
    {"correlation": "k", "value": "v", "at": "9999-12-31T23:59:59+23:59"},
    {"correlation": "k", "value": "v" * 10**6}, {"at": 1e300, "correlation": "k", "correct": True},
    {"correlation": "k", "value": "v", "at": "0001-01-01T00:00:00+14:00"},
]  # fmt: skip


def deep(depth: int, kind: str) -> bytes:
    """A call that has a value so deep in the content, the metadata or a tool."""
    opened, closed = (b"[", b"]") if depth % 2 else (b'{"a":', b"}")
    value = opened * depth + b"1" + closed * depth
    said = {"content": b'"x"', "metadata": b"{}", "tools": b"[]", "system": b'"s"'} | {kind: value}
    lines = b",".join(b'"%b":%b' % (key.encode(), one) for key, one in said.items())
    return b'{"model":"m","max_tokens":9,"messages":[{"role":"user",%b}],%b}' % (lines, lines)


DEPTHS = (20, 101, 150, 199, 250, 301, 400, 475, 600, 801, 950, 990, 1100)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    for key, one in [*items, *(enumerate(value) if isinstance(value, list) else ())]:
        yield from places(one, (*path, key))


def spoilt(body: Any, draw: random.Random) -> Any:
    """`body` with a few things in it replaced, taken out or put twice."""
    made = copy.deepcopy(body)
    for _ in range(draw.randint(1, 3)):
        there = list(places(made))
        if not there:
            break
        *way, last = draw.choice(there)
        parent = made
        for step in way:
            parent = parent[step]
        how = draw.random()
        if how < 0.75:
            parent[last] = copy.deepcopy(draw.choice(VALUES))
        elif how < 0.9:
            del parent[last]
        else:
            parent[last] = [parent[last], parent[last]]
    return made


def hostile_request(draw: random.Random) -> tuple[str, str, bytes, dict[str, str]]:
    """The method, target, body and headers of a request that is likely to be wrong."""
    name = draw.choice(sorted(TABLE))
    target, method = dialect(name).PATH, "POST"
    kind = draw.random()
    if kind < 0.6:
        body = spoilt(BODIES[name], draw)
        if draw.random() < 0.5:
            body["stream"] = draw.random() < 0.5
        data = json.dumps(body).encode()
        if draw.random() < 0.1:
            data = data[: draw.randrange(len(data))]
        elif draw.random() < 0.1:
            at = draw.randrange(len(data))
            data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
    elif kind < 0.75:
        data = draw.choice(RAW)
    elif kind < 0.85:
        target, data = "/limbeck/v1/outcomes", json.dumps(draw.choice(OUTCOMES)).encode()
    else:
        data, target = json.dumps(BODIES[name]).encode(), draw.choice(PATHS)
        method = draw.choice(["POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
    if kind < 0.75:
        target = draw.choice(["", "", "/t/" + draw.choice(TASKS)]) + target
    headers = {"content-type": "application/json", "x-limbeck-task": draw.choice(TASKS)}
    headers |= dict(draw.sample(HEADERS, draw.choice([0, 0, 1, 2])))
    if target.startswith("/t/"):
        del headers["x-limbeck-task"]
    return method, target, data, headers


def sent(
    connection: http.client.HTTPConnection, draw: random.Random
) -> tuple[int, bytes, dict[str, str], str]:
    """What comes back for one hostile request, and what it was."""
    method, target, data, headers = hostile_request(draw)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.putheader("content-length", str(len(data)))
    connection.endheaders(data)
    response = connection.getresponse()
    said = {key.lower(): value for key, value in response.getheaders()}
    return (
        response.status,
        response.read(),
        said,
        f"{method} {target[:80]} {headers} {data[:300]!r}",
    )


def attack(start: Any, upstream: Any, tasks: Workspace, calls: int, seed: int) -> None:
    draw = random.Random(seed)
    connection: http.client.HTTPConnection | None = None
    with start(upstream.url, silence_timeout_s=20) as gateway:
        for _ in range(calls):
            connection = connection or http.client.HTTPConnection(
                urlsplit(gateway.url).netloc, timeout=60
            )
            # The library would refuse to send such targets.
            connection._validate_path = lambda url: None  # type: ignore[attr-defined]
            status, data, headers, what = sent(connection, draw)
            assert status < 500 or (status, headers.get("x-from")) == (529, "upstream"), (
                what,
                data,
            )
            if headers.get("connection") == "close":
                connection.close()
                connection = None
        if connection is not None:
            connection.close()
        health = gateway.health()
        assert health["recorded"] > calls // 5, "most of them are calls"
        assert health["unread"] > calls // 10, "and many cannot be read"
        assert health["unrecorded"] == 0, health
        assert health["spooled"] == 0, health
        assert gateway.terminate() == 0
        assert "Traceback" not in gateway.said(), gateway.said()
    with Store(tasks.store_url) as store:
        assert store.verify() == []


def test_hostile_requests_find_no_failure_of_our_own(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    attack(start, upstream, tasks, calls=600, seed=1)


@pytest.mark.slow
def test_thousands_of_hostile_requests_find_no_failure_of_our_own(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    attack(start, upstream, tasks, calls=10_000, seed=2)


@pytest.mark.parametrize("kind", ["content", "metadata", "tools", "system"])
def test_calls_of_any_depth_pass(start: Any, upstream: Any, tasks: Workspace, kind: str) -> None:
    with start(upstream.url) as gateway:
        connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
        for name, task, depth in itertools.product(sorted(TABLE), TASKS, DEPTHS):
            body = deep(depth, kind)
            connection.request("POST", f"/t/{task}{dialect(name).PATH}", body)
            response = connection.getresponse()
            assert (response.status, response.read()[:1]) == (200, b"{"), (name, task, depth)
        connection.close()
        assert gateway.health()["unrecorded"] == 0
        assert "Traceback" not in gateway.said(), gateway.said()[-3000:]
    with Store(tasks.store_url) as store:
        assert store.verify() == []


def test_replies_of_any_depth_pass(start: Any, upstream: Any, tasks: Workspace) -> None:
    said = b""

    async def answer(request: Request, client: Client) -> None:
        client.send(200, [(b"content-type", b"application/json")], said)

    upstream.answer = answer
    with start(upstream.url) as gateway:
        connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
        for name, task, depth in itertools.product(sorted(TABLE), TASKS, DEPTHS):
            spoken = dialect(name)
            value = b'{"a":' * depth + b"1" + b"}" * depth
            tool = b'{"type":"tool_use","id":"t","name":"decide","input":%b}' % value
            said = b'{"content":[%b],"choices":[{"message":{"content":%b,"tool_calls":%b}}],' % (
                tool,
                value,
                value,
            )
            said += b'"output":[%b],"usage":%b}' % (tool, value)
            connection.request("POST", f"/t/{task}{spoken.PATH}", json.dumps(BODIES[name]))
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, said), (name, task, depth)
        connection.close()
        assert gateway.health()["unrecorded"] == 0
        assert "Traceback" not in gateway.said(), gateway.said()[-3000:]
    with Store(tasks.store_url) as store:
        assert store.verify() == []

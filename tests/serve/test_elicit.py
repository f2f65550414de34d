"""A rationale that the client did not ask for, through the gateway."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
import urllib3

from limbeck.capture.reply import reread
from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.store.store import Store
from limbeck.types import ElicitForm, Task, Usage

pytestmark = pytest.mark.parametrize("name", sorted(TABLE))

PLAIN = Reply(
    text="Answer: grant",
    stop_reason="end_turn",
    usage=Usage(input=1000, output=200),
    model="teacher-1",
    request_id="msg_1",
    created=1,
)
ELICITED = replace(PLAIN, text="<rationale>\nIt is whole.\n</rationale>\nAnswer: grant")


@pytest.fixture
def task(task: Task) -> Task:
    return task.model_copy(update={"elicit": ElicitForm(how="inline")})


def ask(url: str, name: str, *, stream: bool) -> urllib3.BaseHTTPResponse:
    spoken = dialect(name)
    body = spoken.write_request(
        model="m", system="Decide.", user="A pan.", max_tokens=50, stream=stream
    )
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request(
            "POST", url + spoken.PATH, json=body, headers={"x-limbeck-task": "refunds"}
        )


def read(wire: bytes, name: str, *, stream: bool) -> Reply:
    """The reply that a client reads."""
    spoken = dialect(name)
    if not stream:
        return spoken.read_reply(json.loads(wire))
    reader = spoken.StreamReader()
    reader.feed(wire)
    assert reader.ended
    return reader.reply()


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_sees_the_reply_that_it_would_have_had_without(
    provider: Any,
    whole: Any,
    chunked: Any,
    gateway: Any,
    store: Store,
    task: Task,
    name: str,
    stream: bool,
) -> None:
    spoken = dialect(name)
    if stream:
        provider.replies = [chunked(*spoken.write_stream(ELICITED))]
    else:
        provider.replies = [whole(json.dumps(spoken.write_reply(ELICITED)).encode())]
    with gateway() as url:
        response = ask(url, name, stream=stream)
    assert b"whole" not in response.data
    if not stream:
        assert response.json() == spoken.write_reply(PLAIN)
    seen = read(response.data, name, stream=stream)
    assert (seen.text, seen.stop_reason, seen.usage) == (PLAIN.text, "end_turn", PLAIN.usage)
    sent = json.loads(provider.requests[0][1])
    assert task.elicit.wording in json.dumps(sent)
    [trace] = store.traces("refunds")
    again = reread(task, trace)
    assert again.rationale is not None
    assert (again.rationale.text, again.rationale.origin) == ("It is whole.", "elicited")
    assert again.answer == "grant"
    assert trace.elicited is not None
    assert trace.elicited.how == "inline"
    assert 0 < trace.elicited.extra_output < 200
    assert trace.provenance.skeleton == task.skeleton


def test_a_task_that_asks_in_no_call_changes_no_byte(
    provider: Any, whole: Any, gateway: Any, store: Store, task: Task, name: str
) -> None:
    spoken = dialect(name)
    never = task.elicit.model_copy(update={"share": 0.0})
    provider.replies = [whole(json.dumps(spoken.write_reply(ELICITED)).encode())]
    with gateway(elicit=never) as url:
        response = ask(url, name, stream=False)
    assert response.data == json.dumps(spoken.write_reply(ELICITED)).encode()
    [trace] = store.traces("refunds")
    assert trace.elicited is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_comes_compressed_all_the_same_loses_its_rationale_too(
    provider: Any, whole: Any, chunked: Any, gateway: Any, store: Store, name: str, stream: bool
) -> None:
    spoken = dialect(name)
    packed = b"content-encoding: gzip\r\n"
    if stream:
        wire = gzip.compress(b"".join(spoken.write_stream(ELICITED)))
        parts = [wire[:40], wire[40:90], wire[90:]]
        provider.replies = [chunked(*parts, headers=packed)]
    else:
        wire = gzip.compress(json.dumps(spoken.write_reply(ELICITED)).encode())
        provider.replies = [whole(wire, headers=packed)]
    with gateway() as url:
        response = ask(url, name, stream=stream)
    assert "content-encoding" not in response.headers
    assert read(response.data, name, stream=stream).text == PLAIN.text
    [trace] = store.traces("refunds")
    assert trace.raw == ELICITED.text


def test_a_call_that_the_teacher_refuses_with_the_request_is_asked_again_without(
    provider: Any, whole: Any, gateway: Any, store: Store, name: str
) -> None:
    spoken = dialect(name)
    refusal = json.dumps(spoken.write_error(400, "invalid_request_error", "max_tokens")).encode()
    provider.replies = [
        whole(refusal, "400 Bad Request"),
        whole(json.dumps(spoken.write_reply(PLAIN)).encode()),
    ]
    with gateway() as url:
        response = ask(url, name, stream=False)
        with urllib3.PoolManager() as pool:
            health = pool.request("GET", f"{url}/limbeck/health").json()
    assert response.status == 200
    assert response.data == json.dumps(spoken.write_reply(PLAIN)).encode()
    first, second = (json.loads(body) for _, body in provider.requests)
    assert first != second
    assert second == spoken.write_request(
        model="m", system="Decide.", user="A pan.", max_tokens=50, stream=False
    )
    assert health["elicit_refused"] == 1
    [trace] = store.traces("refunds")
    assert (trace.status, trace.elicited) == ("ok", None)

"""A rationale that the client did not ask for, through the gateway."""

from __future__ import annotations

import json
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
ELICITED = PLAIN.model_copy(
    update={"text": "<rationale>\nIt is whole.\n</rationale>\nAnswer: grant"}
)


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
    if stream:
        reader = spoken.StreamReader()
        reader.feed(response.data)
        assert reader.ended
        seen = reader.reply()
    else:
        assert response.json() == spoken.write_reply(PLAIN)
        seen = spoken.read_reply(response.json())
    assert (seen.text, seen.stop_reason, seen.usage) == (PLAIN.text, "end_turn", PLAIN.usage)
    sent = json.loads(provider.requests[0][1])
    assert task.elicit.wording in json.dumps(sent)
    [trace] = store.traces("refunds")
    read = reread(task, trace)
    assert read.rationale is not None
    assert (read.rationale.text, read.rationale.origin) == ("It is whole.", "elicited")
    assert read.answer == "grant"
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

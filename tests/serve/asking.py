"""What the tests of the gateway ask, and what the provider behind it answers."""

from __future__ import annotations

import json
from typing import Any

import urllib3

from limbeck.capture.reply import reread
from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Task, Trace, Usage

REPLY = Reply(
    text="It is whole.\nAnswer: grant",
    stop_reason="end_turn",
    usage=Usage(input=1000, output=200, cached=100),
    model="teacher-1",
    request_id="msg_1",
)


def post(url: str, path: str, body: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json"} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("POST", url + path, body=data, headers=sent)


def ask(
    url: str, name: str = "anthropic", *, stream: bool = False, **headers: str
) -> urllib3.BaseHTTPResponse:
    spoken = dialect(name)
    body = spoken.write_request(
        model="teacher-1", system="Decide.", user="A pan, torn.", stream=stream
    )
    return post(url, spoken.PATH, body, **{"x_limbeck_task": "refunds", **headers})


READ_AS = Task(name="refunds", answer=AnswerForm(kind="choice", choices=("grant", "deny")))
"""A trace is kept as it came; what the task makes of it is read from `raw`."""


def written(name: str, reply: Reply = REPLY) -> bytes:
    return json.dumps(dialect(name).write_reply(reply), indent=3).encode()


def health(url: str) -> Any:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", f"{url}/limbeck/health").json()


def only(store: Store, task: str | None = "refunds") -> Trace:
    [trace] = store.traces(task)
    return reread(READ_AS, trace)

"""The official JavaScript clients get through the gateway what they get without it.

They are installed by `npm install --prefix tests/js`; no test reaches a registry by itself.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.wire.teacher import Asked, Teacher, running_teacher

from limbeck.serve.gateway import Gateway
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.types import Task

FOLDER = Path(__file__).parents[1] / "js"
NODE = shutil.which("node")

WAYS = {
    "anthropic create": "anthropic.text.json",
    "anthropic thinking": "anthropic.thinking.json",
    "anthropic tools": "anthropic.tools.json",
    "anthropic beta": "anthropic.text.json",
    "anthropic raw": "anthropic.text.json",
    "anthropic stream": "anthropic.text.sse",
    "anthropic helper": "anthropic.text.sse",
    "anthropic thinking stream": "anthropic.thinking.sse",
    "anthropic tools stream": "anthropic.tools.sse",
    "anthropic overloaded": "anthropic.overloaded.json",
    "anthropic broken stream": "anthropic.error.sse",
    "anthropic count": "anthropic.count.json",
    "openai create": "openai_chat.text.json",
    "openai schema": "openai_chat.schema.json",
    "openai stream": "openai_chat.usage.sse",
    "openai uncounted stream": "openai_chat.text.sse",
    "openai tools stream": "openai_chat.tools.sse",
    "openai limited": "openai_chat.rate_limit.json",
    "openai responses": "openai_responses.text.json",
    "openai responses stream": "openai_responses.text.sse",
}
STATUS = {"anthropic.overloaded.json": 529, "openai_chat.rate_limit.json": 429}
HOPS = frozenset({"accept-encoding", "connection", "host", "idempotency-key"})
CHANGED = "openai uncounted stream"
"""The one way in which the gateway asks for more than its client did: the token counts."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules").is_dir(),
        reason="the clients are not installed; run: npm install --prefix tests/js",
    ),
]


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with running_teacher() as made:
        yield made


@pytest.fixture
def through(teacher: Teacher, store: Store, task: Task) -> Iterator[str]:
    upstreams = {
        "anthropic": {"base_url": teacher.url},
        "openai_chat": {"base_url": f"{teacher.url}/v1"},
        "openai_responses": {"base_url": f"{teacher.url}/v1"},
    }
    settings = GatewaySettings.model_validate({"upstreams": upstreams})
    with running_in_thread(Gateway(Setup.of(settings, {task.name: task}), store)) as url:
        yield f"{url}/t/{task.name}"


def ask(teacher: Teacher, url: str, script: dict[str, str]) -> Any:
    """What the clients got at `url`, by way; the teacher says the samples in their order."""
    teacher.says[:] = []
    teacher.asked[:] = []
    for name in script.values():
        if name.endswith(".sse"):
            teacher.says_stream(name)
        else:
            teacher.says_json(name, status=STATUS.get(name, 200))
    assert NODE is not None
    done = subprocess.run(
        [NODE, "ask.mjs", url, *script],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sent(asked: Asked) -> Any:
    headers = [(n.lower(), value) for n, value in asked.headers if n.lower() not in HOPS]
    return asked.method, asked.path, sorted(headers), asked.body


def test_the_clients_ask_and_get_the_same_with_and_without_the_gateway(
    teacher: Teacher, through: str, store: Store
) -> None:
    expected = ask(teacher, teacher.url, WAYS)
    without = dict(zip(WAYS, map(sent, teacher.asked), strict=True))
    got = ask(teacher, through, WAYS)
    with_gateway = dict(zip(WAYS, map(sent, teacher.asked), strict=True))
    for way in WAYS:
        assert got[way] == expected[way], way
        if way != CHANGED:
            assert with_gateway[way] == without[way], way
    traces = list(store.traces("refunds"))
    assert len(traces) == len(WAYS) - 1, "all but the counting of tokens is a call"
    assert sum(trace.status == "ok" for trace in traces) == len(traces) - 3


def test_counts_that_were_not_asked_for_are_not_seen(teacher: Teacher, through: str) -> None:
    expected = ask(teacher, teacher.url, {CHANGED: "openai_chat.text.sse"})
    got = ask(teacher, through, {CHANGED: "openai_chat.usage.sse"})
    assert got == expected

"""Gateway and teacher as processes of their own: what was acknowledged survives their death."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from limbeck.capture.reply import reread
from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.tasks import load
from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.models.remote import Question, Teacher
from limbeck.serve.running import Running, running
from limbeck.store.store import Store
from limbeck.workspace import Workspace

SANDBOX = load("refunds")


@pytest.fixture
def sandbox() -> Iterator[Running]:
    arguments = {"tasks": ["refunds"], "rates": FaultRates.none().model_dump()}
    with running("limbeck.capture.sandbox.server:create_app", arguments) as teacher:
        yield teacher


@pytest.fixture
def tasked(workspace: Workspace) -> Workspace:
    said = SANDBOX.task().model_dump(mode="json", include={"instruction", "answer", "teacher"})
    lines = [
        f"instruction = {json.dumps(said['instruction'])}",
        f"answer = {{kind = 'choice', choices = {json.dumps(said['answer']['choices'])}}}",
        f"teacher = {{model = {json.dumps(said['teacher']['model'])}}}",
    ]
    (workspace.tasks_folder / "refunds.toml").write_text("\n".join(lines))
    return workspace


def gateway_arguments(workspace: Workspace, teacher: str) -> dict[str, Any]:
    upstreams = {
        "anthropic": {"base_url": teacher},
        "openai_chat": {"base_url": f"{teacher}/v1"},
    }
    return {"workspace": str(workspace.root), "settings": {"upstreams": upstreams}}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_client_gets_through_the_gateway_what_the_teacher_says(
    sandbox: Running, tasked: Workspace, name: str
) -> None:
    items = SANDBOX.generate(12, seed=1)
    keys = {item.input: f"row-{number}" for number, item in enumerate(items)}
    questions = [Question(SANDBOX.instruction, text, "refunds", key) for text, key in keys.items()]
    arguments = gateway_arguments(tasked, sandbox.url)
    with running("limbeck.serve.gateway:open_gateway", arguments) as gateway:
        base = gateway.url + dialect(name).BASE_PATH
        with Teacher(base, name, "limbeck/refunds") as teacher:
            asked = {one.question.user: one for one in teacher.ask_many(questions, workers=4)}
    with Store(tasked.store_url) as store:
        traces = {trace.input: trace for trace in store.traces("refunds")}
    assert {item.input: item.truth for item in items} == {
        text: reread(SANDBOX.task(), trace).answer for text, trace in traces.items()
    }
    for text, one in asked.items():
        assert one.reply is not None
        assert one.reply.text == traces[text].raw
        assert one.headers["x-limbeck-trace-id"] == traces[text].id
        assert traces[text].provenance.simulated
        assert traces[text].provenance.correlation == keys[text]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_stream_is_the_same_with_and_without_the_gateway(
    sandbox: Running, tasked: Workspace, name: str
) -> None:
    spoken = dialect(name)
    [item] = SANDBOX.generate(1, seed=2)
    body = spoken.write_request(model="m", system=SANDBOX.instruction, user=item.input, stream=True)
    unnamed = {"id", "created", "created_at", "item_id", "completed_at"}

    def shape(value: Any) -> Any:
        # The teacher makes up a new id for each reply; all else must agree to the byte.
        if isinstance(value, dict):
            return {key: shape(one) for key, one in value.items() if key not in unnamed}
        return [shape(one) for one in value] if isinstance(value, list) else value

    def events(url: str) -> list[tuple[bytes, Any]]:
        with urllib3.PoolManager() as pool:
            wire = pool.request("POST", url + spoken.PATH, json=body).data
        blocks = [block.rpartition(b"data: ") for block in wire.split(b"\n\n")[:-1]]
        return [
            (head, data if data == b"[DONE]" else shape(json.loads(data)))
            for head, _, data in blocks
        ]

    arguments = gateway_arguments(tasked, sandbox.url)
    with running("limbeck.serve.gateway:open_gateway", arguments) as gateway:
        assert events(gateway.url) == events(sandbox.url)


def test_a_killed_gateway_loses_no_acknowledged_trace(sandbox: Running, tasked: Workspace) -> None:
    items = SANDBOX.generate(400, seed=3)
    acknowledged: list[str] = []
    enough = threading.Event()
    arguments = gateway_arguments(tasked, sandbox.url)
    with running("limbeck.serve.gateway:open_gateway", arguments) as gateway:

        def ask(part: int) -> None:
            spoken = dialect("anthropic")
            with urllib3.PoolManager(retries=False) as pool:
                for number, item in enumerate(items[part::8]):
                    stream = number % 2 == 0
                    body = spoken.write_request(
                        model="m", system=SANDBOX.instruction, user=item.input, stream=stream
                    )
                    try:
                        url = f"{gateway.url}/t/refunds/v1/messages"
                        response = pool.request("POST", url, json=body)
                    except urllib3.exceptions.HTTPError:
                        return
                    assert response.status == 200
                    acknowledged.append(response.headers["x-limbeck-request-id"])
                    if len(acknowledged) >= 40:
                        enough.set()

        threads = [threading.Thread(target=ask, args=(part,)) for part in range(8)]
        for thread in threads:
            thread.start()
        enough.wait()
        gateway.process.kill()
        for thread in threads:
            thread.join()
    assert 40 <= len(acknowledged) < len(items)
    with Store(tasked.store_url) as store:
        assert [one for one in acknowledged if store.find(request_id=one) is None] == []
        assert store.verify() == []


def test_a_stopped_gateway_answers_what_it_has_begun(
    provider: Any, whole: Any, tasked: Workspace
) -> None:
    arrived, stopped = threading.Event(), threading.Event()
    spoken = dialect("anthropic")
    reply = Reply(text="Answer: deny", stop_reason="end_turn", model="m")
    provider.replies = [
        [arrived.set, stopped.wait, *whole(json.dumps(spoken.write_reply(reply)).encode())]
    ]
    replies = []
    arguments = gateway_arguments(tasked, provider.url)
    with (
        running("limbeck.serve.gateway:open_gateway", arguments) as gateway,
        Teacher(gateway.url, "anthropic", "m", attempts=1) as teacher,
    ):

        def ask() -> None:
            replies.append(teacher.ask(SANDBOX.instruction, "q", task="refunds")[0].text)

        thread = threading.Thread(target=ask)
        thread.start()
        arrived.wait()
        gateway.process.terminate()
        stopped.set()
        thread.join()
        gateway.process.wait()
    assert replies == ["Answer: deny"]
    with Store(tasked.store_url) as store:
        assert store.counts().traces == 1


def test_a_child_server_dies_with_its_parent() -> None:
    with running("limbeck.capture.sandbox.server:create_app", {"tasks": []}) as server:
        assert server.process.stdin is not None
        # What the system does to the pipe when the parent dies.
        server.process.stdin.close()
        assert server.process.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(server.process.pid, 0)

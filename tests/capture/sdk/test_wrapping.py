"""Official clients give the same results, wrapped or not, and every call of theirs is on disk."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from tests.wire.calls import ANTHROPIC, COUNTED, OPENAI, TOOL, chat, dumped, messages, read_stream

from limbeck.capture import correlate, wrap
from limbeck.capture import task as of_task
from limbeck.capture.reply import reread
from limbeck.errors import ConfigError
from limbeck.store.store import Store
from limbeck.types import Task, Trace
from limbeck.workspace import Workspace

Kept = Callable[[], list[Trace]]


def says(teacher: Any, name: str) -> None:
    (teacher.says_stream if name.endswith(".sse") else teacher.says_json)(name)


def on_the_wire(asked: Any) -> Any:
    # The only header that is made up anew for every call.
    headers = [(name, value) for name, value in asked.headers if name.lower() != "idempotency-key"]
    return asked.method, asked.path, headers, asked.body


@pytest.mark.parametrize("name", ANTHROPIC)
def test_a_wrapped_anthropic_client_asks_and_returns_the_same(
    teacher: Any, kept: Kept, name: str
) -> None:
    sample, ask = ANTHROPIC[name]
    says(teacher, sample)
    plain = teacher.anthropic()
    wrapped = wrap(plain, task="refunds")
    assert ask(wrapped) == ask(plain)
    recorded, unrecorded = map(on_the_wire, teacher.asked)
    assert recorded == unrecorded
    [trace] = kept()
    assert trace.task == "refunds"
    assert trace.input == "Item back after 12 days. Refund?"
    assert trace.provenance.dialect == "anthropic"
    assert trace.status == "ok"


@pytest.mark.parametrize("name", OPENAI)
def test_a_wrapped_openai_client_asks_and_returns_the_same(
    teacher: Any, kept: Kept, name: str
) -> None:
    sample, ask = OPENAI[name]
    says(teacher, sample)
    plain = teacher.openai()
    wrapped = wrap(plain, task="refunds")
    assert ask(wrapped) == ask(plain)
    recorded, unrecorded = map(on_the_wire, teacher.asked)
    assert recorded == unrecorded
    [trace] = kept()
    assert trace.status == "ok"
    assert trace.provenance.source == "sdk"


@pytest.mark.parametrize("sample", ["anthropic.text.json", "anthropic.text.sse"])
def test_an_asynchronous_anthropic_client_is_recorded_alike(
    teacher: Any, kept: Kept, sample: str
) -> None:
    says(teacher, sample)
    streams = sample.endswith(".sse")

    async def ask(wraps: bool) -> Any:
        made = anthropic.AsyncAnthropic(api_key="key-1", base_url=teacher.url, max_retries=0)
        async with made as plain:
            client = wrap(plain, task="refunds") if wraps else plain
            if not streams:
                return dumped(await client.messages.create(**messages()))
            async with client.messages.stream(**messages()) as stream:
                events = [dumped(event) async for event in stream]
            return [*events, dumped(await stream.get_final_message())]

    assert asyncio.run(ask(True)) == asyncio.run(ask(False))
    recorded, unrecorded = map(on_the_wire, teacher.asked)
    assert recorded == unrecorded
    [trace] = kept()
    assert trace.status == "ok"
    assert trace.raw is not None
    assert trace.raw.endswith("Answer: grant")


@pytest.mark.parametrize("sample", ["openai_chat.text.json", "openai_chat.usage.sse"])
def test_an_asynchronous_openai_client_is_recorded_alike(
    teacher: Any, kept: Kept, sample: str
) -> None:
    says(teacher, sample)
    streams = sample.endswith(".sse")

    async def ask(wraps: bool) -> Any:
        made = openai.AsyncOpenAI(api_key="key-1", base_url=f"{teacher.url}/v1", max_retries=0)
        async with made as plain:
            client = wrap(plain, task="refunds") if wraps else plain
            if not streams:
                return dumped(await client.chat.completions.create(**chat()))
            stream = await client.chat.completions.create(
                **chat(stream_options=COUNTED), stream=True
            )
            return [dumped(chunk) async for chunk in stream]

    assert asyncio.run(ask(True)) == asyncio.run(ask(False))
    [trace] = kept()
    assert trace.status == "ok"
    assert trace.usage.output > 0


def test_a_trace_says_what_was_asked_answered_and_paid(
    teacher: Any, kept: Kept, task: Task
) -> None:
    teacher.says_json("anthropic.text.json")
    wrap(teacher.anthropic(), task="refunds").messages.create(**messages())
    [trace] = kept()
    read = reread(task, trace)
    assert read.answer == "grant"
    assert read.rationale is not None
    assert read.rationale.text == "The item came back within 30 days."
    assert trace.provenance.model_dump(exclude_defaults=True) == {
        "source": "sdk",
        "generator": "claude-test-1",
        "skeleton": task.skeleton,
        "request_id": "req_anthropic.text.json",
        "dialect": "anthropic",
    }
    assert (trace.usage.input, trace.usage.output, trace.usage.cached) == (55, 12, 5)
    assert (trace.usage.cache_write_5m, trace.usage.cache_write_1h) == (4, 6)
    assert trace.cost_usd is not None
    assert trace.latency_s is not None
    assert trace.created_at is not None


def test_thinking_and_tool_calls_are_kept(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.thinking.json")
    teacher.says_json("anthropic.tools.json")
    client = wrap(teacher.anthropic(), task="refunds")
    client.messages.create(**messages())
    client.messages.create(**messages(tools=[TOOL]))
    thought, used = kept()
    assert thought.thinking == "Thirty days have not passed — so it is in time."
    assert thought.raw == "grant"
    assert used.stop_reason == "tool_use"
    assert '"look_up"' in (used.blocks or "")


def test_token_counts_of_a_chat_stream_are_asked_for_and_hidden(teacher: Any, kept: Kept) -> None:
    plain, counted = teacher.openai(), []
    teacher.says_stream("openai_chat.text.sse")
    expected = read_stream(plain.chat.completions.create(**chat(), stream=True))
    teacher.says[:] = []
    teacher.says_stream("openai_chat.usage.sse")
    wrapped = wrap(plain, task="refunds")
    counted = read_stream(wrapped.chat.completions.create(**chat(), stream=True))
    assert counted == expected
    before, after = (asked.json for asked in teacher.asked)
    assert after == before | {"stream_options": {"include_usage": True}}
    [trace] = kept()
    assert (trace.usage.input, trace.usage.output) == (28, 7)
    quiet = wrap(plain, task="refunds", streamed_usage=False)
    read_stream(quiet.chat.completions.create(**chat(), stream=True))
    assert on_the_wire(teacher.asked[2]) == on_the_wire(teacher.asked[0])


def test_an_error_is_the_clients_own_and_is_recorded(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.overloaded.json", status=529)
    client = wrap(teacher.anthropic(), task="refunds")
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**messages())
    assert caught.value.status_code == 529
    assert caught.value.body == json.loads(
        b'{"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Overloaded"},"request_id":"req_up_1"}'
    )
    [trace] = kept()
    assert (trace.status, trace.stop_reason) == ("error", "http_529")


def test_every_attempt_that_reached_the_teacher_is_a_call(teacher: Any, kept: Kept) -> None:
    teacher.says_json("openai_chat.rate_limit.json", status=429, retry_after_ms="1")
    teacher.says_json("openai_chat.text.json")
    client = wrap(teacher.openai(), task="refunds").with_options(max_retries=2)
    client.chat.completions.create(**chat())
    assert [(t.status, t.stop_reason) for t in kept()] == [
        ("error", "http_429"),
        ("ok", "end_turn"),
    ]


def test_an_attempt_that_is_retried_unread_is_a_call_too(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.overloaded.json", status=529, retry_after_ms="1")
    teacher.says_stream("anthropic.text.sse")
    client = wrap(teacher.anthropic(), task="refunds").with_options(max_retries=2)
    read_stream(client.messages.create(**messages(), stream=True))
    assert [(t.status, t.stop_reason) for t in kept()] == [
        ("error", "http_529"),
        ("ok", "end_turn"),
    ]


def test_a_teacher_that_cannot_be_reached_was_not_called(tasked: Workspace, kept: Kept) -> None:
    client = anthropic.Anthropic(api_key="k", base_url="http://127.0.0.1:9", max_retries=0)
    with client, pytest.raises(anthropic.APIConnectionError):
        wrap(client, task="refunds").messages.create(**messages())
    assert kept() == []


def test_other_requests_pass_unrecorded(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.count.json")
    client = wrap(teacher.anthropic(), task="refunds")
    counted = client.messages.count_tokens(
        model="claude-test-1",
        messages=[{"role": "user", "content": "x"}],
        extra_headers={"x-limbeck-task": "refunds"},
    )
    assert counted.input_tokens == 17
    assert teacher.asked[0].header("x-limbeck-task") is None
    assert kept() == []


def test_the_header_stands_above_the_block_and_the_block_above_the_argument(
    teacher: Any, tasked: Workspace, task: Task
) -> None:
    for name in ("claims", "orders"):
        tasked.write_task(task.model_copy(update={"name": name}))
    teacher.says_json("anthropic.text.json")
    client = wrap(teacher.anthropic(), task="refunds")
    with of_task("claims"), correlate("order 7", subject="customer 9"):
        client.messages.create(**messages())
        client.messages.create(
            **messages(), extra_headers={"x-limbeck-task": "orders", "x-limbeck-key": "order 8"}
        )
    client.messages.create(**messages())
    assert [asked.header("x-limbeck-task") for asked in teacher.asked] == [None] * 3
    assert [asked.header("x-limbeck-key") for asked in teacher.asked] == [None] * 3
    with Store(tasked.store_url) as store:
        found = {
            name: [(t.provenance.correlation, t.provenance.subject) for t in store.traces(name)]
            for name in ("claims", "orders", "refunds")
        }
    assert found == {
        "claims": [("order 7", "customer 9")],
        "orders": [("order 8", "customer 9")],
        "refunds": [(None, None)],
    }


def test_a_task_that_is_not_there_is_said_once_and_nothing_is_sent(
    teacher: Any, tasked: Workspace
) -> None:
    teacher.says_json("anthropic.text.json")
    with pytest.raises(ConfigError, match="there is no task 'refund'"):
        wrap(teacher.anthropic(), task="refund")
    client = wrap(teacher.anthropic()).with_options(max_retries=3)
    with of_task("refund"), pytest.raises(ConfigError, match="did you mean 'refunds'"):
        client.messages.create(**messages())
    other = wrap(teacher.openai()).with_options(max_retries=3)
    with of_task("refund"), pytest.raises(ConfigError):
        other.chat.completions.create(**chat())
    assert teacher.asked == []


def test_a_call_of_no_task_is_recorded_as_untasked(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.text.json")
    wrap(teacher.anthropic()).messages.create(**messages())
    [trace] = kept()
    assert trace.task is None


def test_a_task_that_is_off_is_not_recorded(
    teacher: Any, tasked: Workspace, task: Task, kept: Kept
) -> None:
    tasked.write_task(task.model_copy(update={"mode": "off"}))
    teacher.says_json("anthropic.text.json")
    wrap(teacher.anthropic(), task="refunds").messages.create(**messages())
    assert kept() == []


def test_the_client_that_was_given_stays_as_it_is(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.text.json")
    plain = teacher.anthropic()
    wrapped = wrap(plain, task="refunds")
    assert type(wrapped) is type(plain)
    plain.messages.create(**messages())
    assert kept() == []
    wrapped.messages.create(**messages())
    del wrapped
    plain.messages.create(**messages())
    assert len(kept()) == 1


def test_a_client_that_nobody_else_holds_lives_as_long_as_its_wrapping(
    teacher: Any, kept: Kept
) -> None:
    teacher.says_json("anthropic.text.json")
    with wrap(teacher.anthropic(), task="refunds") as client:
        client.messages.create(**messages())
        client.messages.create(**messages())
        assert not client.is_closed()
    assert client.is_closed()
    assert len(kept()) == 2


def test_a_client_that_is_wrapped_twice_is_recorded_once(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.text.json")
    twice = wrap(wrap(teacher.anthropic()), task="refunds")
    twice.messages.create(**messages())
    assert [trace.task for trace in kept()] == ["refunds"]


def test_hooks_and_transports_of_the_users_own_http_client_go_on_working(
    tasked: Workspace, kept: Kept
) -> None:
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        text = {"type": "text", "text": "Answer: deny"}
        reply = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [text],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
        return httpx2.Response(200, json=reply)

    http = httpx2.Client(
        transport=httpx2.MockTransport(answer),
        event_hooks={
            "request": [lambda request: seen.append(request.url.path)],
            "response": [lambda response: response.read()],
        },
    )
    plain = anthropic.Anthropic(api_key="k", http_client=http)
    reply = wrap(plain, task="refunds").messages.create(**messages())
    assert reply.content[0].type == "text"
    assert seen == ["/v1/messages"]
    [trace] = kept()
    assert trace.raw == "Answer: deny"


def test_a_compressed_reply_is_read_and_passes_compressed(teacher: Any, kept: Kept) -> None:
    for name in ("anthropic.text.json", "anthropic.text.sse"):
        says(teacher, name)
        said = teacher.says[-1]
        said.headers["content-encoding"] = "gzip"
        said.parts = [gzip.compress(b"".join(said.parts))]
    client = wrap(teacher.anthropic(), task="refunds")
    client.messages.create(**messages())
    read_stream(client.messages.create(**messages(), stream=True))
    whole, streamed = kept()
    assert whole.raw == "The item came back within 30 days. Answer: grant"
    assert streamed.raw == "It came back — in time. Answer: grant"
    assert (whole.status, streamed.status) == ("ok", "ok")


def test_an_azure_client_is_recorded(teacher: Any, kept: Kept) -> None:
    teacher.says_json("openai_chat.text.json")
    azure = openai.AzureOpenAI(
        api_key="k", azure_endpoint=teacher.url, api_version="2024-10-21", max_retries=0
    )
    with azure:
        wrap(azure, task="refunds").chat.completions.create(**chat())
    assert teacher.asked[0].path.startswith("/openai/deployments/gpt-test-1/chat/completions?")
    [trace] = kept()
    assert trace.provenance.dialect == "openai_chat"


def test_what_is_no_official_client_is_refused(tasked: Workspace) -> None:
    with pytest.raises(TypeError, match=r"wrap\(\) got httpx2.*wanted a client of the package"):
        wrap(httpx2.Client())


def test_without_a_workspace_a_store_is_enough(
    teacher: Any, tmp_path: Any, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"limbeck\.toml"):
        wrap(teacher.anthropic(), task=task)
    teacher.says_json("anthropic.text.json")
    place = tmp_path / "calls.db"
    wrap(teacher.anthropic(), task=task, store=place).messages.create(**messages())
    with Store(place) as store:
        assert [trace.task for trace in store.traces("refunds")] == ["refunds"]

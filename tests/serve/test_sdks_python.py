"""The official Python clients get through the gateway what they get without it, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.wire.calls import ANTHROPIC, OPENAI, chat, dumped, messages, read_stream
from tests.wire.teacher import Asked, Teacher, read_wire, running_teacher

from limbeck.capture import wrap
from limbeck.capture.sdk.journal import close_journals
from limbeck.serve.gateway import Gateway
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.types import Task, Trace

HOPS = frozenset({"accept-encoding", "connection", "host"})
"""Headers that speak of one connection; the gateway asks for replies that it can read."""
ANEW = frozenset({"idempotency-key"})
"""A header that the client makes up for every call."""


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with running_teacher() as made:
        yield made


@pytest.fixture
def through(teacher: Teacher, store: Store, task: Task) -> Iterator[str]:
    """The address of a gateway in front of the teacher, with the task in it."""
    upstreams = {
        "anthropic": {"base_url": teacher.url},
        "openai_chat": {"base_url": f"{teacher.url}/v1"},
        "openai_responses": {"base_url": f"{teacher.url}/v1"},
    }
    settings = GatewaySettings.model_validate({"upstreams": upstreams})
    with running_in_thread(Gateway(Setup.of(settings, {task.name: task}), store)) as url:
        yield f"{url}/t/{task.name}"


@contextmanager
def anthropic_client(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="key-1", base_url=url, max_retries=0) as client:
        yield client


@contextmanager
def openai_client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="key-1", base_url=f"{url}/v1", max_retries=0) as client:
        yield client


Table = dict[str, tuple[str, Any]]
CLIENTS: dict[str, tuple[Any, Table]] = {
    "anthropic": (anthropic_client, ANTHROPIC),
    "openai": (openai_client, OPENAI),
}
WAYS = [(sdk, way) for sdk, (_, table) in CLIENTS.items() for way in table]


def says(teacher: Teacher, name: str) -> None:
    (teacher.says_stream if name.endswith(".sse") else teacher.says_json)(name)


def sent(asked: Asked) -> Any:
    left_out = HOPS | ANEW
    headers = [(n.lower(), value) for n, value in asked.headers if n.lower() not in left_out]
    return asked.method, asked.path, sorted(headers), asked.body


def said(trace: Trace) -> dict[str, Any]:
    """What a trace says of the call, without who wrote it down and how long it took."""
    told = trace.model_dump(mode="json", exclude={"latency_s", "created_at"})
    return {**told, "provenance": {**told["provenance"], "source": "either"}}


@pytest.mark.parametrize(("sdk", "way"), WAYS)
def test_a_client_asks_and_gets_the_same_with_and_without_the_gateway(
    teacher: Teacher, through: str, store: Store, sdk: str, way: str
) -> None:
    connect, table = CLIENTS[sdk]
    sample, ask = table[way]
    says(teacher, sample)
    with connect(teacher.url) as direct:
        expected = ask(direct)
    with connect(through) as client:
        assert ask(client) == expected
    without, with_gateway = map(sent, teacher.asked)
    assert with_gateway == without
    [trace] = store.traces("refunds")
    assert trace.status == "ok"


@pytest.mark.parametrize(("sdk", "way"), WAYS)
def test_the_gateway_and_a_wrapped_client_write_the_same_trace(
    teacher: Teacher, through: str, store: Store, task: Task, tmp_path: Path, sdk: str, way: str
) -> None:
    connect, table = CLIENTS[sdk]
    sample, ask = table[way]
    says(teacher, sample)
    with connect(through) as client:
        ask(client)
    place = tmp_path / "wrapped.db"
    with connect(teacher.url) as client:
        ask(wrap(client, task=task, store=place))
    close_journals()
    with Store(place) as wrapped:
        [ours] = wrapped.traces("refunds")
    [theirs] = store.traces("refunds")
    assert said(ours) == said(theirs)


@pytest.mark.parametrize(
    "name",
    [f"{one}.{kind}" for one in ("anthropic.text", "openai_chat.usage") for kind in ("sse",)]
    + ["anthropic.text.json", "openai_chat.text.json"],
)
def test_the_bytes_of_a_reply_are_the_teachers(teacher: Teacher, through: str, name: str) -> None:
    says(teacher, name)
    more: dict[str, Any] = {"stream": True} if name.endswith(".sse") else {}
    counted = {"stream_options": {"include_usage": True}} if more else {}
    if name.startswith("anthropic"):
        with anthropic_client(through) as client:
            asking = client.messages.with_streaming_response.create(**messages(), **more)
            with asking as response:
                read = b"".join(response.iter_bytes())
    else:
        with openai_client(through) as other:
            chatting = other.chat.completions.with_streaming_response
            with chatting.create(**chat(**counted), **more) as answer:
                read = b"".join(answer.iter_bytes())
    assert read == read_wire(name)


def test_a_stream_that_asked_for_no_counts_shows_none(teacher: Teacher, through: str) -> None:
    says(teacher, "openai_chat.text.sse")
    with openai_client(teacher.url) as direct:
        expected = read_stream(direct.chat.completions.create(**chat(), stream=True))
    teacher.says[:] = []
    says(teacher, "openai_chat.usage.sse")
    with openai_client(through) as client:
        assert read_stream(client.chat.completions.create(**chat(), stream=True)) == expected


def test_asynchronous_clients_get_the_same(teacher: Teacher, through: str) -> None:
    says(teacher, "anthropic.thinking.sse")

    async def ask(url: str) -> Any:
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0) as client:
            async with client.messages.stream(**messages()) as stream:
                events = [dumped(event) async for event in stream]
            return [*events, dumped(await stream.get_final_message())]

    assert asyncio.run(ask(through)) == asyncio.run(ask(teacher.url))


def test_errors_are_the_teachers_and_are_tried_again_as_it_says(
    teacher: Teacher, through: str
) -> None:
    teacher.says_json("anthropic.overloaded.json", status=529, retry_after_ms="1")
    teacher.says_json("anthropic.text.json")
    with anthropic_client(through) as client:
        patient = client.with_options(max_retries=2)
        assert patient.messages.create(**messages()).id == "msg_01text"
    assert [asked.header("x-stainless-retry-count") for asked in teacher.asked] == ["0", "1"]
    teacher.says[:] = []
    teacher.says_json("openai_chat.rate_limit.json", status=429, retry_after="7")
    caught = []
    for url in (teacher.url, through):
        with openai_client(url) as other, pytest.raises(openai.RateLimitError) as info:
            other.chat.completions.create(**chat())
        error = info.value
        caught.append((str(error), error.body, error.response.headers["retry-after"]))
    assert caught[0] == caught[1]


def test_what_is_no_call_passes(teacher: Teacher, through: str, store: Store) -> None:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    request: Any = {"custom_id": "1", "params": {**asked, "max_tokens": 9}}
    ways: dict[str, Any] = {
        "anthropic.count.json": lambda c: c.messages.count_tokens(**asked),
        "anthropic.batch.json": lambda c: c.messages.batches.create(requests=[request]),
        "anthropic.models.json": lambda c: list(c.models.list()),
    }
    for name, ask in ways.items():
        teacher.says[:] = []
        teacher.asked[:] = []
        teacher.says_json(name)
        got = []
        for url in (teacher.url, through):
            with anthropic_client(url) as client:
                got.append(ask(client))
        assert got[0] == got[1]
        without, with_gateway = map(sent, teacher.asked)
        assert with_gateway == without
    assert store.counts().traces == 0

"""Replies on their way: what ends them waits for the disk, and what breaks them is recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anthropic
import openai
import pytest

from limbeck.capture import correlate, wrap
from limbeck.errors import StoreError
from limbeck.store.store import Store
from limbeck.store.writer import NO_BLOBS
from limbeck.types import Task, Trace

Kept = Callable[[], list[Trace]]

ASKED: dict[str, Any] = {
    "model": "claude-test-1",
    "max_tokens": 64,
    "system": "Decide.",
    "messages": [{"role": "user", "content": "12 days"}],
}
CHAT: dict[str, Any] = {
    "model": "gpt-test-1",
    "messages": [{"role": "user", "content": "12 days"}],
}


class SlowStore:
    """A store that lets a test say when the disk is done."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self.asked = threading.Event()
        self.allowed = threading.Event()

    def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes] = NO_BLOBS) -> None:
        self.asked.set()
        assert self.allowed.wait(30)
        self.traces += traces


def test_the_last_event_of_a_stream_waits_for_the_disk(teacher: Any, task: Task) -> None:
    teacher.says_stream("anthropic.text.sse")
    store = SlowStore()
    client = wrap(teacher.anthropic(), task=task, store=store)
    seen: list[str] = []
    finished = threading.Event()

    def ask() -> None:
        seen.extend(event.type for event in client.messages.create(**ASKED, stream=True))
        finished.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert store.asked.wait(30)
    assert "message_stop" not in seen
    assert not finished.is_set()
    store.allowed.set()
    asking.join(30)
    assert seen[-1] == "message_stop"
    assert len(store.traces) == 1


def test_no_byte_of_a_whole_reply_comes_before_the_disk(teacher: Any, task: Task) -> None:
    teacher.says_json("anthropic.text.json")
    store = SlowStore()
    client = wrap(teacher.anthropic(), task=task, store=store)
    seen: list[bytes] = []

    def ask() -> None:
        with client.messages.with_streaming_response.create(**ASKED) as response:
            seen.extend(response.iter_bytes())

    asking = threading.Thread(target=ask)
    asking.start()
    assert store.asked.wait(30)
    assert seen == []
    store.allowed.set()
    asking.join(30)
    assert b"".join(seen).startswith(b'{"id":"msg_01text"')


def test_an_event_loop_goes_on_while_the_disk_is_written(teacher: Any, task: Task) -> None:
    teacher.says_json("anthropic.text.json")
    store = SlowStore()

    async def ask() -> None:
        made = anthropic.AsyncAnthropic(api_key="k", base_url=teacher.url, max_retries=0)
        async with made, asyncio.timeout(30):
            client = wrap(made, task=task, store=store)
            asking = asyncio.create_task(client.messages.create(**ASKED))
            while not store.asked.is_set():
                await asyncio.sleep(0)
            assert not asking.done()
            store.allowed.set()
            await asking

    asyncio.run(ask())
    assert len(store.traces) == 1


def test_a_program_that_is_cancelled_while_it_waits_is_recorded_all_the_same(
    teacher: Any, task: Task
) -> None:
    teacher.says_json("anthropic.text.json")
    store = SlowStore()

    async def ask() -> None:
        made = anthropic.AsyncAnthropic(api_key="k", base_url=teacher.url, max_retries=0)
        async with made, asyncio.timeout(30):
            client = wrap(made, task=task, store=store)
            asking = asyncio.create_task(client.messages.create(**ASKED))
            while not store.asked.is_set():
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            store.allowed.set()
            # The writer goes on: what comes next is written too.
            await client.messages.create(**ASKED)

    asyncio.run(ask())
    assert [trace.status for trace in store.traces] == ["ok", "ok"]


def test_a_stream_that_its_reader_leaves_is_cut_off(teacher: Any, task: Task) -> None:
    gate = threading.Event()
    teacher.says_stream("anthropic.text.sse")
    teacher.says[0].parts.insert(5, lambda: gate.wait(30))
    store = SlowStore()
    store.allowed.set()
    client = wrap(teacher.anthropic(), task=task, store=store)
    stream = client.messages.create(**ASKED, stream=True)
    for event in stream:
        if event.type == "content_block_delta":
            break
    stream.close()
    gate.set()
    assert store.asked.wait(30)
    # A second call comes after the first in the writer's queue.
    teacher.says_json("anthropic.text.json")
    client.messages.create(**ASKED)
    [left, _] = store.traces
    assert (left.status, left.stop_reason) == ("cut_off", "client_disconnected")
    assert left.raw == "It came back — in "


def test_a_reader_that_leaves_after_the_end_has_had_the_whole_reply(
    teacher: Any, kept: Kept
) -> None:
    teacher.says_stream("anthropic.text.sse")
    client = wrap(teacher.anthropic(), task="refunds")
    with client.messages.create(**ASKED, stream=True) as stream:
        for event in stream:
            if event.type == "message_stop":
                break
    [trace] = kept()
    assert (trace.status, trace.stop_reason) == ("ok", "end_turn")


def test_a_teacher_that_hangs_up_is_an_error_for_both(teacher: Any, kept: Kept) -> None:
    teacher.says_stream("openai_chat.usage.sse", cut=2)
    client = wrap(teacher.openai(), task="refunds")
    stream = client.chat.completions.create(
        **CHAT, stream=True, stream_options={"include_usage": True}
    )
    with pytest.raises(openai.APIConnectionError):
        list(stream)
    [trace] = kept()
    assert (trace.status, trace.stop_reason) == ("error", "teacher_hung_up")
    assert trace.raw == "In time — "


def test_an_error_event_reaches_the_client_and_the_trace(teacher: Any, kept: Kept) -> None:
    teacher.says_stream("anthropic.error.sse")
    client = wrap(teacher.anthropic(), task="refunds")
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(client.messages.create(**ASKED, stream=True))
    [trace] = kept()
    assert trace.status == "error"
    assert trace.raw == "It came"


def test_a_teacher_that_falls_silent_is_recorded(teacher: Any, kept: Kept) -> None:
    gate = threading.Event()
    teacher.says_json("anthropic.text.json")
    teacher.says[0].parts.insert(0, lambda: gate.wait(30))
    client = wrap(teacher.anthropic(), task="refunds")
    with pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**ASKED, timeout=0.05)
    gate.set()
    [trace] = kept()
    assert (trace.status, trace.stop_reason) == ("error", "teacher_timed_out")


def test_a_reply_that_is_no_reply_passes_and_is_an_error(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.count.json")
    client = wrap(teacher.anthropic(), task="refunds")
    client.messages.create(**ASKED)
    [trace] = kept()
    assert (trace.status, trace.raw) == ("error", None)


def test_calls_of_many_threads_are_each_recorded_once(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.text.json")
    client = wrap(teacher.anthropic(), task="refunds")

    def ask(number: int) -> None:
        asked = {**ASKED, "messages": [{"role": "user", "content": f"{number} days"}]}
        client.messages.create(**asked)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(trace.input for trace in kept()) == sorted(f"{n} days" for n in range(20))


def test_calls_of_many_tasks_of_one_loop_keep_their_own_key(
    teacher: Any, tasked: Any, kept: Kept
) -> None:
    teacher.says_json("openai_chat.text.json")

    async def ask() -> None:
        made = openai.AsyncOpenAI(api_key="k", base_url=f"{teacher.url}/v1", max_retries=0)
        async with made:
            client = wrap(made, task="refunds")

            async def one(number: int) -> None:
                with correlate(f"order {number}"):
                    await asyncio.sleep(0)
                    asked = {**CHAT, "messages": [{"role": "user", "content": str(number)}]}
                    await client.chat.completions.create(**asked)

            await asyncio.gather(*(one(number) for number in range(10)))

    asyncio.run(ask())
    assert {trace.provenance.correlation: trace.input for trace in kept()} == {
        f"order {number}": str(number) for number in range(10)
    }


class FullStore:
    """A store whose disk is full."""

    def append(self, *_: Any) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("sample", ["anthropic.text.json", "anthropic.text.sse"])
def test_a_store_that_fails_never_fails_the_client(
    teacher: Any, task: Task, sample: str, caplog: pytest.LogCaptureFixture
) -> None:
    streams = sample.endswith(".sse")
    (teacher.says_stream if streams else teacher.says_json)(sample)
    client = wrap(teacher.anthropic(), task=task, store=FullStore())
    reply = client.messages.create(**ASKED, stream=streams)
    if streams:
        assert [event.type for event in reply][-1] == "message_stop"
    else:
        assert reply.stop_reason == "end_turn"
    assert "a call was not recorded (1 so far): " in caplog.text
    assert "No space left" in caplog.text


def test_a_store_that_fails_refuses_the_reply_where_that_was_asked_for(
    teacher: Any, task: Task
) -> None:
    teacher.says_json("anthropic.text.json")
    client = wrap(teacher.anthropic(), task=task, store=FullStore(), on_failure="raise")
    with pytest.raises(StoreError, match="answered but not recorded"):
        client.with_options(max_retries=3).messages.create(**ASKED)
    assert len(teacher.asked) == 1
    teacher.says[:] = []
    teacher.says_stream("openai_chat.usage.sse")
    other = wrap(teacher.openai(), task=task, store=FullStore(), on_failure="raise")
    stream = other.with_options(max_retries=3).chat.completions.create(**CHAT, stream=True)
    with pytest.raises(StoreError):
        list(stream)
    assert len(teacher.asked) == 2


def test_a_reader_of_ours_that_fails_never_fails_the_client(
    teacher: Any, tasked: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr("limbeck.capture.sdk.session.divide", fail)
    teacher.says_json("anthropic.text.json")
    assert wrap(teacher.anthropic()).messages.create(**ASKED).stop_reason == "end_turn"
    assert "a call passed unread (1 so far): RuntimeError: planted" in caplog.text


def test_a_reply_that_a_gateway_has_recorded_is_not_recorded_again(
    teacher: Any, kept: Kept
) -> None:
    teacher.says_json("anthropic.text.json", x_limbeck_answered_by="teacher")
    wrap(teacher.anthropic(), task="refunds").messages.create(**ASKED)
    assert kept() == []


def test_a_gateway_is_told_the_task_and_the_key(
    teacher: Any, tasked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher.says_json("anthropic.text.json")
    by_argument = wrap(teacher.anthropic(), task="refunds", gateway=True)
    monkeypatch.setenv("LIMBECK_GATEWAY", teacher.url)
    by_environment = wrap(teacher.anthropic(), task="refunds")
    port = teacher.url.rpartition(":")[2]
    monkeypatch.delenv("LIMBECK_GATEWAY")
    (tasked.root / "limbeck.toml").write_text(f"[gateway]\nport = {port}\n")
    by_workspace = wrap(teacher.anthropic(), task="refunds")
    with correlate("order 7", "customer 9"):
        for client in (by_argument, by_environment, by_workspace):
            client.messages.create(**ASKED)
    for asked in teacher.asked:
        assert asked.header("x-limbeck-task") == "refunds"
        assert asked.header("x-limbeck-key") == "order 7"
        assert asked.header("x-limbeck-subject") == "customer 9"
    with Store(tasked.store_url) as store:
        assert store.counts().traces == 0

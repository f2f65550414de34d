"""Who answers in tasks of mode `cascade` and `shadow`, in front of a provider whose every byte is known."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.serve.asking import REPLY, ask, health, only, post, written

from limbeck.capture.skeleton import Division
from limbeck.models.call import Call
from limbeck.models.dialects.table import dialect
from limbeck.serve.decision import Decision
from limbeck.store.store import Store
from limbeck.types import Routing, Task


def deciding(
    local: bool, answer: str | None = "deny", audit_rate: float = 0.0
) -> Callable[..., Any]:
    async def answerer(task: Task, call: Call, division: Division, group: str | None) -> Any:
        return Decision(
            local,
            answer,
            0.9,
            "test",
            "sha256:policy",
            (1.5,),
            audit_rate=audit_rate,
            tokens=(7, 3),
        )

    return answerer


@pytest.mark.parametrize("stream", [False, True])
def test_a_student_answers_in_the_clients_dialect_without_asking_the_teacher(
    provider: Any, gateway: Any, store: Store, name: str, stream: bool
) -> None:
    settings = {"mode": "cascade", "answerer": deciding(True), "say_who_answered": True}
    with gateway(**settings) as url:
        response = ask(url, name, stream=stream)
        assert health(url)["answered_by_student"] == 1
    assert provider.requests == []
    spoken = dialect(name)
    if stream:
        reader = spoken.StreamReader()
        reader.feed(response.data)
        assert reader.ended
        reply = reader.reply()
    else:
        reply = spoken.read_reply(response.json())
    assert (reply.text, reply.thinking, reply.stop_reason) == ("Answer: deny", None, "end_turn")
    assert reply.model == "teacher-1"
    assert stream or (reply.usage.input, reply.usage.output) == (7, 3)
    assert response.headers["x-limbeck-answered-by"] == "student"
    trace = only(store)
    assert response.headers["x-limbeck-trace-id"] == trace.id
    assert (trace.provenance.source, trace.answer, trace.rationale) == ("student", "deny", None)
    assert (trace.provenance.generator, trace.cost_usd) == ("limbeck/refunds", 0.0)
    assert trace.routing == Routing(
        policy="sha256:policy",
        local=True,
        answer="deny",
        confidence=0.9,
        signals=(1.5,),
        reason="test",
    )


def test_the_teacher_answers_where_the_student_may_not(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(written("anthropic"))]
    with gateway(mode="cascade", answerer=deciding(False)) as url:
        assert ask(url).data == written("anthropic")
    trace = only(store)
    assert trace.provenance.source == "gateway"
    assert trace.routing is not None
    assert (trace.routing.local, trace.routing.answer) == (False, "deny")


@pytest.mark.parametrize("local", [False, True])
def test_a_client_is_not_told_who_answered_unless_that_is_set(
    provider: Any, whole: Any, gateway: Any, local: bool
) -> None:
    provider.replies = [whole(written("anthropic"))]
    with gateway(mode="cascade", answerer=deciding(local)) as url:
        assert "x-limbeck-answered-by" not in ask(url).headers


@pytest.mark.parametrize("local", [False, True])
def test_the_group_that_a_caller_names_decides_and_stands_in_the_trace(
    provider: Any, whole: Any, gateway: Any, store: Store, local: bool
) -> None:
    provider.replies = [whole(written("anthropic"))]
    groups: list[str | None] = []

    async def answerer(task: Task, call: Call, division: Division, group: str | None) -> Decision:
        groups.append(group)
        return Decision(local, "deny", 0.9, "test", "sha256:policy", group=group)

    with gateway(mode="cascade", answerer=answerer) as url:
        ask(url, x_limbeck_group="gold")
    trace = only(store)
    assert trace.routing is not None
    assert (groups, trace.group, trace.routing.group) == (["gold"], "gold", "gold")
    [(head, _)] = provider.requests or [(b"", b"")]
    assert b"x-limbeck" not in head


@pytest.mark.parametrize("stream", [False, True])
def test_an_audited_answer_goes_out_and_the_teacher_says_what_it_would_have_answered(
    provider: Any, whole: Any, chunked: Any, gateway: Any, store: Store, stream: bool
) -> None:
    wire = b"".join(dialect("anthropic").write_stream(REPLY))
    provider.replies = [chunked(wire) if stream else whole(written("anthropic"))]
    answerer = deciding(True, "deny", audit_rate=1.0)
    with gateway(mode="cascade", answerer=answerer) as url:
        assert b"deny" in ask(url, stream=stream).data
    by_source = {trace.provenance.source: trace for trace in store.traces("refunds")}
    student, teacher = by_source["student"], by_source["gateway"]
    for trace in (student, teacher):
        assert trace.routing is not None
        assert (trace.routing.audit, trace.routing.local) == (True, True)
    [(trace_id, outcome)] = store.truths("refunds").items()
    assert trace_id == student.id
    assert (outcome.value, outcome.source) == ("grant", "teacher_agreement")
    assert student.provenance.request_id != teacher.provenance.request_id


def test_an_audit_that_the_teacher_cannot_settle_stays_open(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(b"{}", "500 Oh")]
    answerer = deciding(True, "deny", audit_rate=1.0)
    with gateway(mode="cascade", answerer=answerer) as url:
        assert b"deny" in ask(url).data
        while not (seen := health(url))["audits_open"]:
            time.sleep(0.01)
    assert seen["audited"] == 0
    assert store.truths("refunds") == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["shadow", "cascade"])
def test_in_shadow_and_for_high_stakes_the_teacher_answers_and_the_student_is_taken_down(
    provider: Any,
    whole: Any,
    chunked: Any,
    gateway: Any,
    task: Task,
    store: Store,
    mode: str,
    stream: bool,
) -> None:
    wire = b"".join(dialect("anthropic").write_stream(REPLY))
    provider.replies = [chunked(wire) if stream else whole(written("anthropic"))]
    stakes = "high" if mode == "cascade" else "low"
    with gateway(mode=mode, stakes=stakes, answerer=deciding(True)) as url:
        assert ask(url, stream=stream).data == (wire if stream else written("anthropic"))
    trace = only(store)
    assert trace.provenance.source == "gateway"
    assert trace.routing is not None
    assert (trace.routing.local, trace.routing.answer) == (False, "deny")


def test_a_student_that_is_late_in_shadow_mode_is_not_waited_for(
    provider: Any, whole: Any, gateway: Any, store: Store
) -> None:
    provider.replies = [whole(written("anthropic"))]
    with gateway(mode="shadow", answerer=_hangs, shadow_wait_s=0.01) as url:
        assert ask(url).data == written("anthropic")
        assert health(url)["student_skipped"] == 1
    assert only(store).routing is None


@pytest.mark.parametrize("down", ["status", "unreachable"])
def test_while_the_teacher_is_down_a_student_may_answer_with_a_mark(
    provider: Any, whole: Any, gateway: Any, store: Store, down: str
) -> None:
    provider.replies = [whole(b"{}", "503 Oh")] if down == "status" else []
    if down == "unreachable":
        provider.replies = [[]]  # it hangs up without a word
    settings = {"answerer": deciding(False), "on_teacher_failure": "answer"}
    with gateway(mode="cascade", **settings) as url:
        response = ask(url)
        assert (response.status, response.headers["x-limbeck-degraded"]) == (200, "teacher-down")
        assert b"deny" in response.data
        assert health(url)["answered_in_need"] == 1
    answered = [one for one in store.traces("refunds") if one.provenance.source == "student"]
    assert [one.routing.local for one in answered if one.routing] == [False]


def test_a_student_that_fails_time_after_time_is_left_alone_for_a_while(
    provider: Any, whole: Any, gateway: Any
) -> None:
    provider.replies = [whole(written("anthropic"))] * 4
    with gateway(mode="cascade", answerer=_raises, student_failures=2) as url:
        for _ in range(4):
            assert ask(url).data == written("anthropic")
        seen = health(url)
    assert (seen["student_failures"], seen["student_skipped"]) == (2, 2)


def test_a_student_that_has_its_hands_full_leaves_the_call_to_the_teacher(
    provider: Any, whole: Any, gateway: Any
) -> None:
    provider.replies = [whole(written("anthropic"))]
    begun, released = threading.Event(), threading.Event()

    async def answerer(task: Task, call: Call, division: Division, group: str | None) -> Decision:
        begun.set()
        await asyncio.to_thread(released.wait)
        return Decision(True, "deny", 0.9, "test", "sha256:policy")

    with gateway(mode="cascade", answerer=answerer, student_calls=1) as url:
        first: list[Any] = []
        asking = threading.Thread(target=lambda: first.append(ask(url)))
        asking.start()
        begun.wait()
        assert ask(url).data == written("anthropic")
        released.set()
        asking.join()
        assert b"deny" in first[0].data
        assert b"deny" in ask(url).data
        seen = health(url)
    assert (seen["answered_by_student"], seen["student_skipped"]) == (2, 1)


async def _raises(task: Task, call: Call, division: Division, group: str | None) -> Any:
    raise ValueError("no such token")


async def _hangs(task: Task, call: Call, division: Division, group: str | None) -> Any:
    await asyncio.sleep(3600)
    raise AssertionError("never")


@pytest.mark.parametrize("answerer", [_raises, _hangs])
def test_a_student_that_fails_or_hangs_never_fails_the_client(
    provider: Any, whole: Any, gateway: Any, answerer: Any
) -> None:
    provider.replies = [whole(written("anthropic"))]
    with gateway(mode="cascade", answerer=answerer, student_timeout_s=0.05) as url:
        assert ask(url).data == written("anthropic")
        seen = health(url)
    assert (seen["status"], seen["student_failures"]) == ("degraded", 1)


@pytest.mark.parametrize("mode", ["record", "shadow", "off"])
def test_a_student_answers_in_no_other_mode(
    provider: Any, whole: Any, gateway: Any, mode: str
) -> None:
    provider.replies = [whole(written("anthropic"))]
    with gateway(mode=mode, answerer=deciding(True)) as url:
        assert ask(url).data == written("anthropic")


def test_a_call_with_tools_or_turns_goes_to_the_teacher(
    provider: Any, whole: Any, gateway: Any
) -> None:
    provider.replies = [whole(written("anthropic"))]
    body = dialect("anthropic").write_request(model="m", system="", user="q")
    turns = [*body["messages"], {"role": "assistant", "content": "Answer:"}]
    with gateway(mode="cascade", answerer=deciding(True)) as url:
        for change in ({"tools": [{"name": "look"}]}, {"messages": turns}):
            post(url, "/t/refunds/v1/messages", {**body, **change})
    assert len(provider.requests) == 2

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limbeck.capture.elicit.cutter import WHITE
from limbeck.capture.elicit.prepare import Prepared
from limbeck.models.call import Reply
from limbeck.models.dialects import openai_chat
from limbeck.models.dialects.events import EventReader, pieces, write_event

Ask = Callable[..., Prepared]
Pass = Callable[..., bytes]
Message = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
PLAIN = openai_chat.write_request(model="m", system="s", user="q")
FORM = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}
JSON = PLAIN | {"response_format": FORM}
FORCED = PLAIN | {
    "tools": [{"type": "function", "function": {"name": "file", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "file"}},
}

TEXTS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["<rationale>", "</rationale>", "é", "\\n"])),
    max_size=6,
).map("".join)
SIZES = st.lists(st.integers(0, 90), max_size=40)


def called(arguments: str, name: str = "file") -> dict[str, Any]:
    return {
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def said(text: str | None, *calls: dict[str, Any], thought: str | None = None) -> Message:
    message: Message = {"role": "assistant", "content": text, "refusal": None}
    if thought is not None:
        message["reasoning_content"] = thought
    return message | ({"tool_calls": list(calls)} if calls else {})


def completion(*messages: Message, finish: str = "stop") -> dict[str, Any]:
    body = openai_chat.write_reply(Reply(text="", request_id="chatcmpl-1", model="m"))
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
        for index, message in enumerate(messages)
    ]
    return body | {"choices": choices}


def frames(*messages: Message, finish: str = "stop", size: int = 5) -> list[bytes]:
    out: list[bytes] = []

    def frame(index: int, delta: dict[str, Any], reason: str | None = None) -> None:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        out.append(write_event({"id": "chatcmpl-1", "choices": [choice], "usage": None}))

    for index, message in enumerate(messages):
        frame(index, {"role": "assistant", "content": "", "refusal": None})
        for piece in pieces(message.get("reasoning_content") or "", size):
            frame(index, {"reasoning_content": piece})
        for piece in pieces(message["content"] or "", size):
            frame(index, {"content": piece})
        for at, one in enumerate(message.get("tool_calls", ())):
            function = one["function"]
            head = {**one, "index": at, "function": {**function, "arguments": ""}}
            frame(index, {"tool_calls": [head]})
            for piece in pieces(function["arguments"], size):
                frame(index, {"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    for index in range(len(messages)):
        frame(index, {}, finish)
    counted = {"completion_tokens": 40}
    out.append(write_event({"id": "chatcmpl-1", "choices": [], "usage": counted}))
    return [*out, write_event("[DONE]")]


def collected(stream: bytes) -> dict[str, Any]:
    """The completion that a client makes of a stream."""
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {"choices": choices, "ended": False}
    for event in EventReader().feed(stream):
        if event.data == "[DONE]":
            whole["ended"] = True
            continue
        data = json.loads(event.data)
        whole["usage"] = data["usage"]
        for choice in data["choices"]:
            message = choices.setdefault(choice["index"], {"content": "", "calls": {}})
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            message["thought"] = message.get("thought", "") + delta.get("reasoning_content", "")
            message["role"] = delta.get("role") or message.get("role")
            message["finish"] = choice["finish_reason"]
            for call in delta.get("tool_calls", ()):
                made = message["calls"].setdefault(call["index"], {"arguments": ""})
                made["name"] = call["function"].get("name") or made.get("name")
                made["arguments"] += call["function"]["arguments"]
    return whole


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.integers(1, 30), SIZES)
def test_inline_the_client_sees_what_it_would_have_seen(
    ask: Ask, passed: Pass, why: str, one: str, two: str, size: int, sizes: list[int]
) -> None:
    one, two = one.lstrip(WHITE), two.lstrip(WHITE)
    assume("</rationale>" not in why)
    assume(not one.startswith("<rationale>") and not two.startswith("<rationale>"))
    tagged = [f"<rationale>{why}</rationale>\n{text}" for text in (one, two)]
    call = called('{"q":"<rationale>"}', "look")
    told = said(tagged[0], call, thought="hm"), said(tagged[1])
    plain = said(one or None, call, thought="hm"), said(two)
    prepared = ask("inline", "openai_chat", PLAIN | {"n": 2})
    restored = prepared.restore(completion(*told))
    assert restored.body == completion(*plain)
    restorer = prepared.stream()
    stream = passed(restorer, b"".join(frames(*told, size=size)), sizes)
    assert collected(stream) == collected(b"".join(frames(*plain)))
    assert restored.rationale == restorer.rationale == (why.strip() or None)


@settings(deadline=None)
@given(
    TEXTS,
    st.dictionaries(st.text(max_size=8), TEXTS, min_size=1, max_size=3),
    st.integers(1, 30),
    SIZES,
)
def test_by_schema_the_client_sees_what_it_would_have_seen(
    ask: Ask, passed: Pass, why: str, rest: dict[str, Any], size: int, sizes: list[int]
) -> None:
    rest = {key: value for key, value in rest.items() if key != "rationale"} or {"x": ""}
    rest["deep"] = {"rationale": "stays"}
    whole, left = json.dumps({"rationale": why, **rest}), json.dumps(rest)
    other = called(whole, "other")
    for body, told, plain in (
        (JSON, said(whole), said(left)),
        (FORCED, said(None, called(whole), other), said(None, called(left), other)),
    ):
        prepared = ask("schema", "openai_chat", body)
        restored = prepared.restore(completion(told))
        assert restored.body == completion(plain)
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(frames(told, size=size)), sizes)
        assert collected(stream) == collected(b"".join(frames(plain)))
        assert restored.rationale == restorer.rationale == (why.strip() or None)


def test_a_reply_that_ignored_the_request_keeps_every_byte(ask: Ask, passed: Pass) -> None:
    told = said("plain <rationale>", called("not json"), thought="hm")
    for how, body in (("inline", PLAIN), ("schema", JSON), ("schema", FORCED)):
        prepared = ask(how, "openai_chat", body)
        reply = completion(told)
        assert prepared.restore(reply).body is reply
        stream = b"".join(frames(told))
        restorer = prepared.stream()
        assert passed(restorer, stream, [1] * len(stream)) == stream
        assert restorer.rationale is None


def test_what_shows_nothing_of_the_reply_is_left_out_and_the_rest_keeps_its_bytes(
    ask: Ask, passed: Pass
) -> None:
    told = frames(said("<rationale>so</rationale>Yes, and more"), size=4)
    stream = passed(ask("inline", "openai_chat", PLAIN).stream(), b"".join(told), [9] * 99)
    plain = frames(said("Yes, and more"))
    assert stream.startswith(plain[0])
    assert stream.count(b'"content":""') == 1
    assert stream.endswith(b"".join(told[-5:]))


def test_the_first_frame_may_hold_role_and_rationale(ask: Ask) -> None:
    choice = {"index": 0, "delta": {"role": "assistant", "content": "<rationale>so"}}
    shown = ask("inline", "openai_chat", PLAIN).stream().feed(write_event({"choices": [choice]}))
    delta = json.loads(shown.removeprefix(b"data: "))["choices"][0]["delta"]
    assert delta == {"role": "assistant", "content": ""}


def test_a_reply_that_was_cut_off_in_its_rationale_has_an_empty_text(
    ask: Ask, passed: Pass
) -> None:
    prepared = ask("inline", "openai_chat", PLAIN)
    told = said("<rationale>so far")
    restored = prepared.restore(completion(told, finish="length"))
    assert restored.body == completion(said(""), finish="length")
    restorer = prepared.stream()
    stream = passed(restorer, b"".join(frames(told, finish="length")), [7] * 99)
    assert collected(stream) == collected(b"".join(frames(said(""), finish="length")))
    assert restored.rationale == restorer.rationale == "so far"


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_a_tag_that_was_never_closed_hides_no_reply_that_ended_well(
    ask: Ask, passed: Pass, finish: str
) -> None:
    prepared = ask("inline", "openai_chat", PLAIN)
    calls = (called("{}", "look"),) if finish == "tool_calls" else ()
    told = said("<rationale>so. Yes", *calls)
    reply = completion(told, finish=finish)
    assert prepared.restore(reply).body is reply
    restorer = prepared.stream()
    stream = passed(restorer, b"".join(frames(told, finish=finish)), [7] * 99)
    assert collected(stream) == collected(b"".join(frames(told, finish=finish)))
    assert restorer.rationale is None


def test_a_stream_that_breaks_off_shows_nothing_of_the_rationale(ask: Ask, passed: Pass) -> None:
    arguments = json.dumps({"rationale": "secret", "label": "x"})
    for how, body, told in (
        ("inline", PLAIN, said("<rationale>secret reasons</rationale>Yes")),
        ("schema", FORCED, said(None, called(arguments))),
    ):
        whole = b"".join(frames(told, size=3))
        for end in range(len(whole)):
            shown = passed(ask(how, "openai_chat", body).stream(), whole[:end], [end // 2])
            assert b"sec" not in shown
    undecided = b"".join(frames(said("<rat"), size=9)[:2])
    shown = passed(ask("inline", "openai_chat", PLAIN).stream(), undecided, [])
    assert b'"content":"<rat"' in shown


def test_after_an_error_everything_passes(ask: Ask, passed: Pass) -> None:
    error = write_event({"error": {"message": "overloaded"}})
    told = frames(said("<rationale>so far, no more"))
    tail = b"".join(told[2:])
    restorer = ask("inline", "openai_chat", PLAIN).stream()
    assert passed(restorer, b"".join(told[:2]) + error + tail, [21] * 9) == told[0] + error + tail


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"choices": [None, "x", {"message": {"content": 3}}, {"message": {"tool_calls": [1]}}]},
    ],
)
def test_a_body_of_another_shape_passes(ask: Ask, passed: Pass, body: dict[str, Any]) -> None:
    for how, asked in (("inline", PLAIN), ("schema", FORCED)):
        prepared = ask(how, "openai_chat", asked)
        assert prepared.restore(body).body is body
        frame = write_event(body)
        assert passed(prepared.stream(), frame, []) == frame

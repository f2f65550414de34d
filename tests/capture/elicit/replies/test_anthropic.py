from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limbeck.capture.elicit.cutter import WHITE
from limbeck.capture.elicit.prepare import Prepared
from limbeck.models.call import Reply
from limbeck.models.dialects import anthropic
from limbeck.models.dialects.events import EventReader, pieces, write_event

Ask = Callable[..., Prepared]
Pass = Callable[..., bytes]
Blocks = list[dict[str, Any]]

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}
TOOL = {"name": "file", "input_schema": SCHEMA}
PLAIN = anthropic.write_request(model="m", system="s", user="q")
JSON = PLAIN | {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
FORCED = PLAIN | {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "file"}}
THINKING = {"type": "thinking", "thinking": "2 + 2", "signature": "c2ln/+=="}
USAGE = {"input_tokens": 9, "output_tokens": 40}

TEXTS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["<rationale>", "</rationale>", "é", "\\n"])),
    max_size=6,
).map("".join)
SIZES = st.lists(st.integers(0, 90), max_size=40)


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def call(given: dict[str, Any], name: str = "file") -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": given}


def message(blocks: Blocks, stop: str = "end_turn") -> dict[str, Any]:
    body = anthropic.write_reply(Reply(text="", stop_reason=stop, request_id="msg_1", model="m"))
    return body | {"content": blocks, "usage": USAGE}


def events(blocks: Blocks, stop: str = "end_turn", size: int = 5) -> list[bytes]:
    def event(kind: str, **data: Any) -> bytes:
        return write_event({"type": kind, **data}, kind)

    out = [event("message_start", message=message([]) | {"stop_reason": None})]
    for index, block in enumerate(blocks):
        kind = block["type"]
        field, delta = {
            "text": ("text", "text"),
            "thinking": ("thinking", "thinking"),
            "tool_use": ("partial_json", "input_json"),
        }[kind]
        empty: dict[str, Any] = {"input": {}} if kind == "tool_use" else {kind: ""}
        whole = json.dumps(block["input"]) if kind == "tool_use" else block[kind]
        start = {**block, **empty} | ({"signature": ""} if kind == "thinking" else {})
        out.append(event("content_block_start", index=index, content_block=start))
        out.append(event("ping"))
        for piece in pieces(whole, size):
            made = {"type": f"{delta}_delta", field: piece}
            out.append(event("content_block_delta", index=index, delta=made))
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            out.append(event("content_block_delta", index=index, delta=signed))
        out.append(event("content_block_stop", index=index))
    out.append(event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": 40}))
    return [*out, event("message_stop")]


def collected(stream: bytes) -> dict[str, Any]:
    """The message that a strict client makes of a stream: blocks open and close in their order."""
    whole: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    open_block: int | None = None
    for event in EventReader().feed(stream):
        data = json.loads(event.data)
        assert data["type"] == event.name
        if event.name == "message_start":
            whole = data["message"]
        elif event.name == "content_block_start":
            assert (open_block, data["index"]) == (None, len(whole["content"]))
            open_block = data["index"]
            whole["content"].append(data["content_block"])
        elif event.name == "content_block_delta":
            assert data["index"] == open_block
            block, delta = whole["content"][open_block], data["delta"]
            kind = delta["type"].removesuffix("_delta")
            if kind == "input_json":
                inputs[data["index"]] = inputs.get(data["index"], "") + delta["partial_json"]
            else:
                before = "" if kind == "signature" else block[kind]
                block[kind] = before + delta[kind]
        elif event.name == "content_block_stop":
            assert data["index"] == open_block
            if open_block in inputs:
                whole["content"][open_block]["input"] = json.loads(inputs[open_block])
            open_block = None
        elif event.name == "message_delta":
            assert open_block is None
            whole |= data["delta"]
    return whole


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 30), SIZES)
def test_inline_the_client_sees_what_it_would_have_seen(
    ask: Ask, passed: Pass, why: str, reply: str, size: int, sizes: list[int]
) -> None:
    reply = reply.lstrip(WHITE) or "x"
    assume("</rationale>" not in why and not reply.startswith("<rationale>"))
    blocks = [THINKING, said(f"<rationale>{why}</rationale>\n\n{reply}"), call({"a": 1})]
    plain = [THINKING, said(reply), call({"a": 1})]
    prepared = ask("inline", "anthropic", PLAIN)
    before = copy.deepcopy(message(blocks))
    restored = prepared.restore(before)
    assert restored.body == message(plain)
    assert before == message(blocks)
    restorer = prepared.stream()
    stream = passed(restorer, b"".join(events(blocks, size=size)), sizes)
    assert collected(stream) == collected(b"".join(events(plain)))
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
    answer = {"rationale": why, **rest}
    for body, blocks, plain in (
        (JSON, [said(json.dumps(answer))], [said(json.dumps(rest))]),
        (FORCED, [call(answer), call(answer, "other")], [call(rest), call(answer, "other")]),
    ):
        prepared = ask("schema", "anthropic", body)
        restored = prepared.restore(message(blocks, "tool_use"))
        assert restored.body == message(plain, "tool_use")
        assert list(map(json.dumps, restored.body["content"])) == list(map(json.dumps, plain))
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(events(blocks, size=size)), sizes)
        assert collected(stream) == collected(b"".join(events(plain)))
        assert restored.rationale == restorer.rationale == (why.strip() or None)


@pytest.mark.parametrize("how", ["inline", "schema"])
def test_a_reply_that_ignored_the_request_keeps_every_byte(
    ask: Ask, passed: Pass, how: str
) -> None:
    """Only a ping may overtake the beginning of a text: it keeps the connection alive."""
    for body in (PLAIN,) if how == "inline" else (JSON, FORCED):
        prepared = ask(how, "anthropic", body)
        for blocks in ([THINKING, said("{a} plain <rationale>")], [said(""), call({"x": 1})], []):
            reply = message(blocks)
            assert prepared.restore(reply).body is reply
            stream = b"".join(event for event in events(blocks) if b"ping" not in event)
            restorer = prepared.stream()
            assert passed(restorer, stream, [1] * len(stream)) == stream
            assert restorer.rationale is None


def test_the_text_may_come_right_after_the_tag_and_is_shown_with_its_event(ask: Ask) -> None:
    restorer = ask("inline", "anthropic", PLAIN).stream()
    told = events([said("<rationale>so</rationale>\nYes, and no.")], size=4)
    shown = [restorer.feed(event) for event in told]
    first = next(at for at, out in enumerate(shown) if b"text_delta" in out)
    assert b'Ye"' in told[first]
    assert shown[first].startswith(b"event: content_block_start")
    assert shown[first + 1 :] == told[first + 1 :]


def test_thinking_before_and_tool_calls_after_the_text_keep_their_bytes(
    ask: Ask, passed: Pass
) -> None:
    blocks = [THINKING, said("<rationale>so</rationale>Yes"), call({"q": "é"}), THINKING]
    plain = [THINKING, said("Yes"), call({"q": "é"}), THINKING]
    stream = passed(ask("inline", "anthropic", PLAIN).stream(), b"".join(events(blocks)), [7] * 50)
    kept = [event for event in events(plain) if b'"text_delta"' not in event]
    assert [event for event in kept if event not in stream] == []


def test_a_text_that_was_only_a_rationale_goes_and_the_later_blocks_move_up(
    ask: Ask, passed: Pass
) -> None:
    blocks = [THINKING, said("<rationale>so</rationale>\n"), call({"q": 1}), call({"q": 2}, "b")]
    plain = [THINKING, call({"q": 1}), call({"q": 2}, "b")]
    prepared = ask("inline", "anthropic", PLAIN)
    assert prepared.restore(message(blocks)).body == message(plain)
    stream = passed(prepared.stream(), b"".join(events(blocks)), [11] * 90)
    assert collected(stream) == collected(b"".join(events(plain)))


def test_a_reply_that_was_cut_off_in_its_rationale_has_an_empty_text(
    ask: Ask, passed: Pass
) -> None:
    prepared = ask("inline", "anthropic", PLAIN)
    for text in ("<rationale>so far", "<rationale>whole</rationale>\n"):
        blocks, plain = [THINKING, said(text)], [THINKING, said("")]
        restored = prepared.restore(message(blocks, "max_tokens"))
        assert restored.body == message(plain, "max_tokens")
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(events(blocks, "max_tokens")), [13] * 40)
        assert collected(stream) == message(plain, "max_tokens")
        assert restored.rationale == restorer.rationale


def test_a_tag_that_was_never_closed_hides_no_reply_that_ended_well(ask: Ask, passed: Pass) -> None:
    prepared = ask("inline", "anthropic", PLAIN)
    for blocks in ([said("<rationale>so. Yes")], [said("<rationale>so. Yes"), call({"q": 1})]):
        reply = message(blocks, "end_turn")
        assert prepared.restore(reply).body is reply
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(events(blocks)), [13] * 40)
        assert collected(stream) == message(blocks, "end_turn")
        assert restorer.rationale is None


def test_after_an_error_everything_passes(ask: Ask, passed: Pass) -> None:
    error = write_event({"type": "error", "error": {"type": "overloaded_error"}}, "error")
    told = events([said("<rationale>so far, no more")])
    head = b"".join(told[:5])
    restorer = ask("inline", "anthropic", PLAIN).stream()
    stream = passed(restorer, head + error + b"data: anything", [17] * 60)
    assert stream == told[0] + told[2] + error + b"data: anything"


def test_a_stream_that_breaks_off_shows_nothing_of_the_rationale(ask: Ask, passed: Pass) -> None:
    whole = b"".join(events([said("<rationale>secret reasons</rationale>Yes")], size=3))
    for end in range(len(whole)):
        shown = passed(ask("inline", "anthropic", PLAIN).stream(), whole[:end], [end // 2])
        assert b"sec" not in shown
        assert b"rationale>" not in shown
    quiet = b"".join(event for event in events([said("Yes it is")]) if b"ping" not in event)
    for end in range(len(quiet)):
        plain = quiet[:end]
        shown = passed(ask("inline", "anthropic", PLAIN).stream(), plain, [end // 2])
        assert shown == plain


def test_a_stream_that_breaks_off_in_an_undecided_text_shows_it(ask: Ask, passed: Pass) -> None:
    told = events([said("<rat")], size=9)
    head = b"".join(told[:4])
    stream = passed(ask("inline", "anthropic", PLAIN).stream(), head, [20] * 30)
    assert b'"text":"<rat"' in stream


def test_several_calls_of_the_tool_have_one_rationale(ask: Ask, passed: Pass) -> None:
    blocks = [call({"rationale": "a", "x": 1}), call({"x": 2, "rationale": "b"})]
    plain = [call({"x": 1}), call({"x": 2})]
    prepared = ask("schema", "anthropic", FORCED)
    restored = prepared.restore(message(blocks))
    assert (restored.body, restored.rationale) == (message(plain), "a\n\nb")
    restorer = prepared.stream()
    assert collected(passed(restorer, b"".join(events(blocks)), [])) == message(plain)
    assert restorer.rationale == "a\n\nb"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": None},
        {"content": ["x", None, {"type": "text"}, {"type": "text", "text": 3}]},
        {"content": [{"type": "tool_use", "name": "file", "input": "x"}]},
    ],
)
def test_a_body_of_another_shape_passes(ask: Ask, body: dict[str, Any]) -> None:
    for prepared in (ask("inline", "anthropic", PLAIN), ask("schema", "anthropic", FORCED)):
        assert prepared.restore(body).body is body


def test_events_of_another_shape_pass(ask: Ask, passed: Pass) -> None:
    stream = b"".join(
        [
            b": comment\n\n",
            b"data: [1]\n\n",
            b"event: content_block_start\ndata: {half\n\n",
            write_event({"type": "content_block_start", "content_block": 3}),
            write_event({"type": "content_block_delta", "index": 0, "delta": None}),
            b'data: "\xff"\n\n',
            write_event({"type": "message_delta"}),
            b"\n\n\n",
        ]
    )
    assert passed(ask("inline", "anthropic", PLAIN).stream(), stream, [3] * 30) == stream

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limbeck.capture.elicit.cutter import WHITE
from limbeck.capture.elicit.prepare import Prepared
from limbeck.models.dialects.events import EventReader, pieces, write_event

Ask = Callable[..., Prepared]
Pass = Callable[..., bytes]
Items = list[dict[str, Any]]

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
PLAIN: dict[str, Any] = {
    "model": "m",
    "instructions": "s",
    "input": "q",
    "max_output_tokens": 100,
    "tools": [{"type": "function", "name": "file", "parameters": SCHEMA, "strict": True}],
}
JSON = PLAIN | {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
FORCED = PLAIN | {"tool_choice": {"type": "function", "name": "file"}}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "Z0FB+/=="}

TEXTS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["<rationale>", "</rationale>", "é", "\\n"])),
    max_size=6,
).map("".join)
SIZES = st.lists(st.integers(0, 90), max_size=40)


def said(text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }


def called(arguments: str, name: str = "file") -> dict[str, Any]:
    return {
        "id": f"fc_{name}",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": "call_1",
        "arguments": arguments,
    }


def response(sent: dict[str, Any], items: Items, status: str = "completed") -> dict[str, Any]:
    """The reply, which repeats the request that was sent."""
    echoed = ("instructions", "max_output_tokens", "tools", "text")
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        **{name: sent.get(name) for name in echoed},
        "output": items,
        "usage": {"input_tokens": 9, "output_tokens": 40},
    }


def events(
    sent: dict[str, Any],
    items: Items,
    status: str = "completed",
    size: int = 5,
    deltas: bool = True,
) -> list[bytes]:
    out: list[bytes] = []

    def event(kind: str, **data: Any) -> None:
        out.append(write_event({"type": kind, "sequence_number": len(out), **data}, kind))

    event("response.created", response=response(sent, [], "in_progress"))
    event("response.in_progress", response=response(sent, [], "in_progress"))
    for index, item in enumerate(items):
        at: dict[str, Any] = {"output_index": index}
        empty: dict[str, Any] = {"message": {"content": []}, "function_call": {"arguments": ""}}
        started = {**item, **empty.get(item["type"], {})}
        event("response.output_item.added", **at, item=started)
        if item["type"] == "message":
            part = item["content"][0]
            at |= {"content_index": 0}
            event("response.content_part.added", **at, part=part | {"text": ""})
            for piece in pieces(part["text"] if deltas else "", size):
                event("response.output_text.delta", **at, delta=piece, logprobs=[])
            event("response.output_text.done", **at, text=part["text"], logprobs=[])
            event("response.content_part.done", **at, part=part)
        elif item["type"] == "function_call":
            arguments = item["arguments"]
            for piece in pieces(arguments if deltas else "", size):
                event("response.function_call_arguments.delta", **at, delta=piece)
            event("response.function_call_arguments.done", **at, arguments=arguments)
        event("response.output_item.done", output_index=index, item=item)
    event(f"response.{status}", response=response(sent, items, status))
    return out


def collected(stream: bytes) -> dict[str, Any]:
    """What a strict client makes of a stream: numbers without a gap, parts that equal their sum."""
    whole: dict[str, Any] = {}
    items: list[dict[str, Any]] = []
    for number, event in enumerate(EventReader().feed(stream)):
        data = json.loads(event.data)
        assert (data["type"], data["sequence_number"]) == (event.name, number)
        kind = event.name.removeprefix("response.")
        if kind == "output_item.added":
            assert data["output_index"] == len(items)
            items.append(data["item"] | {"said": ""})
        elif kind.endswith(".delta"):
            items[data["output_index"]]["said"] += data["delta"]
        elif kind in ("output_text.done", "function_call_arguments.done"):
            assert items[data["output_index"]]["said"] == data.get("text", data.get("arguments"))
        elif kind == "content_part.done":
            assert items[data["output_index"]]["said"] == data["part"]["text"]
        elif kind == "output_item.done":
            items[data["output_index"]] = data["item"]
        elif "response" in data:
            whole = data["response"]
    assert whole["output"] == items
    return whole


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 30), SIZES)
def test_inline_the_client_sees_what_it_would_have_seen(
    ask: Ask, passed: Pass, why: str, reply: str, size: int, sizes: list[int]
) -> None:
    reply = reply.lstrip(WHITE) or "x"
    assume("</rationale>" not in why and not reply.startswith("<rationale>"))
    call = called('{"q":"<rationale>"}')
    told = [THOUGHT, said(f"<rationale>{why}</rationale>\n{reply}"), call]
    plain = [THOUGHT, said(reply), call]
    prepared = ask("inline", "openai_responses", PLAIN)
    restored = prepared.restore(response(prepared.body, told))
    assert restored.body == response(PLAIN, plain)
    restorer = prepared.stream()
    stream = passed(restorer, b"".join(events(prepared.body, told, size=size)), sizes)
    assert collected(stream) == collected(b"".join(events(PLAIN, plain)))
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
        (JSON, [said(whole), other], [said(left), other]),
        (FORCED, [THOUGHT, called(whole), other], [THOUGHT, called(left), other]),
    ):
        prepared = ask("schema", "openai_responses", body)
        restored = prepared.restore(response(prepared.body, told))
        assert restored.body == response(body, plain)
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(events(prepared.body, told, size=size)), sizes)
        assert collected(stream) == collected(b"".join(events(body, plain)))
        assert restored.rationale == restorer.rationale == (why.strip() or None)


def test_the_request_that_the_reply_repeats_is_the_clients_own(ask: Ask) -> None:
    for how, body in (("inline", PLAIN | {"instructions": None}), ("schema", FORCED)):
        prepared = ask(how, "openai_responses", body)
        assert prepared.body["max_output_tokens"] == 100 + 1024
        restored = prepared.restore(response(prepared.body, [said("ignored")]))
        assert restored.body == response(body, [said("ignored")])
        assert restored.rationale is None


def test_a_reply_that_ignored_the_request_keeps_every_byte(ask: Ask, passed: Pass) -> None:
    told = [THOUGHT, said("plain <rationale>"), called("no json")]
    for how, body in (("inline", PLAIN), ("schema", JSON), ("schema", FORCED)):
        prepared = ask(how, "openai_responses", body)
        reply = response(body, told)
        assert prepared.restore(reply).body is reply
        stream = b"".join(events(body, told))
        restorer = prepared.stream()
        assert passed(restorer, stream, [1] * len(stream)) == stream
        assert restorer.rationale is None


def test_a_message_that_was_only_a_rationale_goes_and_the_later_items_move_up(
    ask: Ask, passed: Pass
) -> None:
    told = [THOUGHT, said("<rationale>so</rationale>\n"), called("{}"), called("{}", "b")]
    plain = [THOUGHT, called("{}"), called("{}", "b")]
    prepared = ask("inline", "openai_responses", PLAIN)
    restored = prepared.restore(response(prepared.body, told))
    assert restored.body == response(PLAIN, plain)
    restorer = prepared.stream()
    stream = passed(restorer, b"".join(events(prepared.body, told)), [11] * 200)
    assert collected(stream) == response(PLAIN, plain)
    assert restored.rationale == restorer.rationale == "so"


def test_a_reply_that_was_cut_off_in_its_rationale_has_an_empty_text(
    ask: Ask, passed: Pass
) -> None:
    prepared = ask("inline", "openai_responses", PLAIN)
    for text in ("<rationale>so far", "<rationale>so far</rationale>"):
        told, plain = [said(text, "incomplete")], [said("", "incomplete")]
        restored = prepared.restore(response(prepared.body, told, "incomplete"))
        assert restored.body == response(PLAIN, plain, "incomplete")
        restorer = prepared.stream()
        whole = b"".join(events(prepared.body, told, "incomplete"))
        assert collected(passed(restorer, whole, [9] * 99)) == restored.body
        assert restored.rationale == restorer.rationale == "so far"


def test_a_tag_that_was_never_closed_hides_no_reply_that_ended_well(ask: Ask, passed: Pass) -> None:
    prepared = ask("inline", "openai_responses", PLAIN)
    for told in ([said("<rationale>so. Yes")], [said("<rationale>so. Yes"), called("{}")]):
        assert prepared.restore(response(PLAIN, told)).body == response(PLAIN, told)
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(events(prepared.body, told)), [7] * 99)
        assert collected(stream) == response(PLAIN, told)
        assert restorer.rationale is None


def test_a_server_that_sends_no_deltas_is_understood(ask: Ask, passed: Pass) -> None:
    arguments = called('{"rationale":"so","x":1}')
    for how, body, told, plain in (
        ("inline", PLAIN, said("<rationale>so</rationale>Yes"), said("Yes")),
        ("schema", JSON, said('{"rationale":"so","x":1}'), said('{"x":1}')),
        ("schema", FORCED, arguments, called('{"x":1}')),
    ):
        prepared = ask(how, "openai_responses", body)
        restorer = prepared.stream()
        stream = passed(restorer, b"".join(events(prepared.body, [told], deltas=False)), [])
        assert stream == b"".join(events(body, [plain], deltas=False))
        assert restorer.rationale == "so"


def test_a_stream_that_breaks_off_shows_nothing_of_the_rationale(ask: Ask, passed: Pass) -> None:
    for how, body, told in (
        ("inline", PLAIN, said("<rationale>secret</rationale>Yes")),
        ("schema", FORCED, called('{"rationale":"secret","label":"x"}')),
    ):
        prepared = ask(how, "openai_responses", body)
        whole = b"".join(events(prepared.body, [told], size=3))
        for end in range(len(whole)):
            assert b"sec" not in passed(prepared.stream(), whole[:end], [end // 2])
    undecided = b"".join(events(PLAIN, [said("<rat")], size=9)[:5])
    shown = passed(ask("inline", "openai_responses", PLAIN).stream(), undecided, [])
    assert shown == undecided


def test_after_an_error_everything_passes(ask: Ask, passed: Pass) -> None:
    prepared = ask("inline", "openai_responses", PLAIN)
    told = events(prepared.body, [said("<rationale>so far")])
    error = write_event({"type": "error", "sequence_number": 5, "message": "no"}, "error")
    stream = passed(prepared.stream(), b"".join(told[:5]) + error + told[6], [5] * 99)
    plain = events(PLAIN, [])
    assert stream.startswith(b"".join(plain[:2]) + b"event: error\n")
    assert stream.endswith(told[6])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": None, "tools": [None], "text": 3},
        {"output": [None, "x", {"type": "message"}, {"type": "message", "content": [3]}]},
        {"output": [{"type": "function_call", "name": "file", "arguments": 3}]},
    ],
)
def test_a_body_of_another_shape_passes(ask: Ask, passed: Pass, body: dict[str, Any]) -> None:
    for how, asked in (("inline", PLAIN), ("schema", JSON), ("schema", FORCED)):
        prepared = ask(how, "openai_responses", asked)
        assert prepared.restore(body).body is body
        frame = write_event({"type": "response.completed", "response": body})
        assert passed(prepared.stream(), frame, []) == frame

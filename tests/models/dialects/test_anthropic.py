from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from limbeck.models.call import Reply
from limbeck.models.dialects import anthropic
from limbeck.models.dialects.events import EventReader, write_event
from limbeck.types import Usage


def event(name: str, **data: Any) -> bytes:
    return write_event({"type": name, **data}, name)


def test_events_come_in_the_order_that_the_api_documents() -> None:
    reply = Reply(text="four", thinking="2 + 2", signature="c2ln", stop_reason="end_turn")
    events = EventReader().feed(b"".join(anthropic.write_stream(reply)))
    assert [event.name for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    bodies = [json.loads(event.data) for event in events]
    assert all(body["type"] == event.name for body, event in zip(bodies, events, strict=True))
    assert bodies[3]["delta"] == {"type": "signature_delta", "signature": "c2ln"}
    assert bodies[8]["delta"]["stop_reason"] == "end_turn"


def test_the_signature_of_a_thinking_block_survives() -> None:
    reply = Reply(text="4", thinking="sum", signature="c2lnbmVk", stop_reason="end_turn")
    reader = anthropic.StreamReader()
    reader.feed(b"".join(anthropic.write_stream(reply)))
    assert reader.reply().signature == "c2lnbmVk"
    assert anthropic.read_reply(anthropic.write_reply(reply)).signature == "c2lnbmVk"


def test_cached_tokens_are_counted_once() -> None:
    body = anthropic.write_reply(Reply(text="x", stop_reason="end_turn"))
    body["usage"] = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "output_tokens": 7,
    }
    read = anthropic.read_reply(body).usage
    assert read == Usage(input=3210, output=7, cached=3000, cache_write_5m=200)


def test_counts_of_a_stream_are_cumulative_and_null_leaves_them() -> None:
    reader = anthropic.StreamReader()
    start = {"id": "msg_1", "model": "m", "usage": {"input_tokens": 25, "output_tokens": 1}}
    reader.feed(event("message_start", message=start))
    reader.feed(event("ping"))
    usage = {"input_tokens": None, "output_tokens": 15}
    reader.feed(event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage))
    assert reader.reply().usage == Usage(input=25, output=15)


def test_an_error_event_after_a_200_ends_the_stream_as_an_error() -> None:
    reader = anthropic.StreamReader()
    reader.feed(event("message_start", message={"id": "msg_1", "model": "m"}))
    reader.feed(event("error", error={"type": "overloaded_error", "message": "Overloaded"}))
    assert reader.ended
    assert reader.reply().error == "Overloaded"
    assert reader.reply().status == "error"


def test_redacted_thinking_and_tool_blocks_are_not_taken_for_text() -> None:
    reader = anthropic.StreamReader()
    for index, block in enumerate(
        [
            {"type": "redacted_thinking", "data": "c2VjcmV0"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {}},
            {"type": "text", "text": ""},
        ]
    ):
        reader.feed(event("content_block_start", index=index, content_block=block))
    tool = {"type": "input_json_delta", "partial_json": '{"q":1}'}
    reader.feed(event("content_block_delta", index=1, delta=tool))
    said = {"type": "text_delta", "text": "seen"}
    reader.feed(event("content_block_delta", index=2, delta=said))
    assert reader.reply().text == "seen"
    assert reader.reply().thinking is None


def test_an_unreadable_event_is_an_error_and_not_an_exception() -> None:
    reader = anthropic.StreamReader()
    reader.feed(b"event: message_start\ndata: {half\n\n")
    assert reader.reply().status == "error"


@pytest.mark.parametrize(
    ("change", "plain"),
    [
        ({}, True),
        ({"tools": [{"name": "look"}]}, False),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant"}]}, False),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, False),
    ],
)
def test_only_one_question_in_text_is_plain(change: dict[str, Any], plain: bool) -> None:
    body = anthropic.write_request(model="m", system="s", user="q") | change
    assert anthropic.read_request(body).plain is plain


def test_instructions_and_content_may_be_blocks_and_the_last_user_message_counts() -> None:
    body = {
        "model": "m",
        "system": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
        "messages": [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "so?"},
            {"role": "user", "content": [{"type": "text", "text": "last"}]},
        ],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    call = anthropic.read_request(body)
    assert (call.system, call.user, call.turns, call.thinking) == ("one\ntwo", "last", 3, True)


def test_writes_to_a_cache_are_counted_by_how_long_they_live() -> None:
    body = anthropic.write_reply(Reply(text="x", stop_reason="end_turn"))
    body["usage"] = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "cache_read_input_tokens": 0,
        "output_tokens": 70,
        "output_tokens_details": {"thinking_tokens": 50},
        "service_tier": "priority",
    }
    assert anthropic.read_reply(body).usage == Usage(
        input=310, output=70, cache_write_5m=100, cache_write_1h=200, reasoning=50, tier="priority"
    )


def test_the_input_of_a_tool_that_was_cut_off_is_kept_as_far_as_it_came() -> None:
    reader = anthropic.StreamReader()
    start = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    reader.feed(event("content_block_start", index=0, content_block=start))
    delta = {"type": "input_json_delta", "partial_json": '{"place":"Par'}
    reader.feed(event("content_block_delta", index=0, delta=delta))
    assert reader.reply().blocks == ({**start, "partial_json": '{"place":"Par'},)
    assert reader.reply().status == "cut_off"


def test_what_is_not_text_stands_in_the_call_as_in_the_request() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "AA=="}}
    first = {"role": "user", "content": "first"}
    prefill = {"role": "assistant", "content": "{"}
    body = {
        "model": "m",
        "messages": [first, {"role": "user", "content": [image]}, prefill],
        "tools": [{"name": "look"}],
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
    }
    call = anthropic.read_request(body)
    assert (call.earlier, call.last, call.later) == ((first,), [image], (prefill,))
    assert call.tools == [{"name": "look"}]
    assert call.form == {"type": "json_schema", "schema": {}}
    assert not anthropic.read_request({**body, "messages": [first], "tools": []}).plain


def test_every_event_and_block_of_the_official_client_passes() -> None:
    types = pytest.importorskip("anthropic.types")
    beta = pytest.importorskip("anthropic.types.beta")

    def names(union: Any) -> list[str]:
        return [
            get_args(one.model_fields["type"].annotation)[0] for one in get_args(get_args(union)[0])
        ]

    reader = anthropic.StreamReader()
    blocks = names(types.ContentBlock) + names(beta.BetaContentBlock)
    assert {"text", "tool_use", "redacted_thinking"} < set(blocks)
    for index, kind in enumerate(blocks):
        reader.feed(event("content_block_start", index=index, content_block={"type": kind}))
        for delta in names(beta.BetaRawContentBlockDelta):
            reader.feed(event("content_block_delta", index=index, delta={"type": delta}))
    for name in names(types.RawMessageStreamEvent):
        reader.feed(event(name))
    reply = reader.reply()
    assert reply.error is None
    assert reply.blocks is not None
    assert [block["type"] for block in reply.blocks] == blocks

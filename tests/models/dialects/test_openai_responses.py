from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest

from limbeck.models.call import Reply
from limbeck.models.dialects import openai_responses
from limbeck.models.dialects.events import EventReader, write_event
from limbeck.types import Usage

REPLY = Reply(
    text="four, of course, as anyone can see",
    thinking="2 + 2",
    stop_reason="end_turn",
    usage=Usage(input=12, output=7, cached=4, reasoning=3),
    model="m",
    request_id="resp_1",
    created=7,
)
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look",
    "arguments": '{"place":"Paris"}',
    "status": "completed",
}


def event(name: str, **data: Any) -> bytes:
    return write_event({"type": name, **data}, name)


def test_events_are_numbered_and_come_in_the_order_that_the_api_documents() -> None:
    events = EventReader().feed(b"".join(openai_responses.write_stream(REPLY)))
    bodies = [json.loads(event.data) for event in events]
    assert [body["type"] for body in bodies] == [event.name for event in events]
    assert [body["sequence_number"] for body in bodies] == list(range(len(bodies)))
    assert [event.name.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_a_stream_that_breaks_off_keeps_what_had_come() -> None:
    called = replace(REPLY, blocks=(*openai_responses.write_reply(REPLY)["output"], CALL))
    events = list(openai_responses.write_stream(called))
    kept = [one for one in events[:-1] if b".done" not in one]
    reader = openai_responses.StreamReader()
    for one in kept:
        reader.feed(one)
    reply = reader.reply()
    assert not reader.ended
    assert (reply.text, reply.thinking, reply.status) == (REPLY.text, "2 + 2", "cut_off")
    assert reply.blocks is not None
    assert reply.blocks[2]["arguments"] == CALL["arguments"]


def test_items_count_where_the_last_event_leaves_them_out() -> None:
    reader = openai_responses.StreamReader()
    for one in list(openai_responses.write_stream(REPLY))[:-1]:
        reader.feed(one)
    last = openai_responses.write_reply(REPLY) | {"output": None}
    reader.feed(event("response.completed", response=last))
    assert reader.ended
    assert reader.reply() == REPLY


def test_a_function_call_is_a_block_and_the_reason_to_stop() -> None:
    body = openai_responses.write_reply(replace(REPLY, blocks=(CALL,)))
    reply = openai_responses.read_reply(body)
    assert reply.blocks == (CALL,)
    assert (reply.text, reply.stop_reason, reply.status) == ("", "tool_use", "ok")


@pytest.mark.parametrize(
    ("change", "stop_reason", "status"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "max_tokens", "cut_off"),
        ({"incomplete_details": {"reason": "content_filter"}}, "refusal", "refused"),
        ({"incomplete_details": {"reason": "steered"}}, None, "cut_off"),
    ],
)
def test_an_incomplete_response_says_why(
    change: dict[str, Any], stop_reason: str | None, status: str
) -> None:
    body = openai_responses.write_reply(REPLY) | {"status": "incomplete"} | change
    reply = openai_responses.read_reply(body)
    assert (reply.stop_reason, reply.status) == (stop_reason, status)
    reader = openai_responses.StreamReader()
    reader.feed(event("response.incomplete", response=body))
    assert reader.ended
    assert reader.reply() == reply


def test_a_failed_response_is_an_error_with_its_message() -> None:
    body = openai_responses.write_reply(replace(REPLY, error="The model broke"))
    assert body["status"] == "failed"
    reader = openai_responses.StreamReader()
    reader.feed(event("response.failed", response=body))
    assert (reader.ended, reader.reply().error) == (True, "The model broke")


def test_an_error_event_ends_the_stream() -> None:
    reader = openai_responses.StreamReader()
    reader.feed(event("error", code="rate_limit_exceeded", message="Slow down", param=None))
    assert (reader.ended, reader.reply().error) == (True, "Slow down")


def test_a_refusal_is_a_status_and_its_words_are_kept() -> None:
    item = {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}
    body = openai_responses.write_reply(REPLY) | {"output": [item]}
    reply = openai_responses.read_reply(body)
    assert (reply.status, reply.text, reply.blocks) == ("refused", "I cannot.", None)


def test_reasoning_in_full_comes_before_its_summary() -> None:
    full = [{"type": "reasoning_text", "text": "two and two"}]
    item = {"type": "reasoning", "summary": [{"text": "sum"}], "content": full}
    body = openai_responses.write_reply(REPLY) | {"output": [item]}
    assert openai_responses.read_reply(body).thinking == "two and two"


def test_instructions_may_stand_in_the_input_and_the_last_user_item_counts() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    content = [{"type": "input_text", "text": "last"}, image]
    first = {"role": "user", "content": "first"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "7"}
    body = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "Be kind."},
            first,
            CALL,
            {"type": "message", "role": "user", "content": content},
            output,
        ],
        "tools": [{"type": "function", "name": "look"}],
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": {}}},
        "reasoning": {"effort": "low"},
    }
    call = openai_responses.read_request(body)
    assert (call.system, call.user, call.turns) == ("Be brief.\nBe kind.", "last", 4)
    assert (call.earlier, call.later, call.last) == ((first, CALL), (output,), content)
    assert (call.tools, call.form) == (body["tools"], body["text"]["format"])  # type: ignore[index]
    assert call.thinking
    assert call.has_media
    assert not call.plain


@pytest.mark.parametrize(
    "change",
    [
        {"previous_response_id": "resp_0"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
        {"background": True},
        {"tools": [{"type": "web_search"}]},
        {"text": {"format": {"type": "json_object"}}},
    ],
)
def test_a_call_that_is_more_than_its_text_is_not_plain(change: dict[str, Any]) -> None:
    body = openai_responses.write_request(model="m", system="s", user="q")
    assert openai_responses.read_request(body).plain
    assert openai_responses.read_request(body | {"text": {"format": {"type": "text"}}}).plain
    assert not openai_responses.read_request(body | change).plain


def test_a_prompt_that_the_provider_keeps_may_name_the_model() -> None:
    assert openai_responses.read_request({"prompt": {"id": "pmpt_1"}}).model == ""


def test_every_event_of_the_official_client_passes() -> None:
    events = pytest.importorskip("openai.types.responses.response_stream_event")
    union = get_args(get_args(events.ResponseStreamEvent)[0])
    names = {get_args(one.model_fields["type"].annotation)[0] for one in union}
    assert len(names) > 50
    dialect = openai_responses
    assert {*dialect.LAST, *dialect.HEADS, *dialect.ITEMS, *dialect.DELTAS} <= names
    reader = openai_responses.StreamReader()
    place = {"item_id": "x", "output_index": 0, "content_index": 0, "delta": "d"}
    for name in sorted(names - {"error", "response.failed"}):
        reader.feed(event(name, **place, item={"type": "reasoning"}, response={"id": "resp_1"}))
        assert reader.reply().error is None

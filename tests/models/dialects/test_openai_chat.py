from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from limbeck.models.call import Reply
from limbeck.models.dialects import openai_chat
from limbeck.models.dialects.events import EventReader, write_event
from limbeck.types import Usage

REPLY = Reply(
    text='It reads ,"usage":null and stops.',
    thinking="why",
    stop_reason="end_turn",
    usage=Usage(input=12, output=7, cached=4),
    model="m",
    request_id="chatcmpl-1",
)


def frames(wire: bytes) -> list[Any]:
    events = EventReader().feed(wire)
    assert events[-1].data == "[DONE]"
    return [json.loads(event.data) for event in events[:-1]]


def test_usage_comes_in_a_last_frame_without_choices_and_is_null_before() -> None:
    *others, last = frames(b"".join(openai_chat.write_stream(REPLY, with_usage=True)))
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}
    assert all(frame["usage"] is None and frame["choices"] for frame in others)


def test_usage_that_was_not_asked_for_is_not_written() -> None:
    wire = b"".join(openai_chat.write_stream(REPLY, with_usage=False))
    assert all("usage" not in frame for frame in frames(wire))


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_hidden_usage_leaves_the_bytes_of_a_stream_that_never_had_it(cuts: list[int]) -> None:
    wire = b"".join(openai_chat.write_stream(REPLY, with_usage=True))
    hider = openai_chat.UsageHider()
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    chunks = [wire[a:b] for a, b in itertools.pairwise(places)]
    shown = b"".join(hider.feed(chunk) for chunk in chunks) + hider.close()
    assert shown == b"".join(openai_chat.write_stream(REPLY, with_usage=False))


def test_asking_for_usage_keeps_the_other_stream_options() -> None:
    body = {"model": "m", "stream_options": {"include_obfuscation": False}}
    assert openai_chat.ask_for_usage(body)["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }


def test_reasoning_is_read_under_either_of_its_names() -> None:
    for field in ("reasoning_content", "reasoning"):
        message = {"role": "assistant", "content": "4", field: "2 + 2"}
        body = {"choices": [{"message": message, "finish_reason": "stop"}]}
        assert openai_chat.read_reply(body).thinking == "2 + 2"
        reader = openai_chat.StreamReader()
        reader.feed(write_event({"choices": [{"index": 0, "delta": {field: "2 + 2"}}]}))
        assert reader.reply().thinking == "2 + 2"


def test_a_refusal_is_a_status_and_its_words_are_kept() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    reply = openai_chat.read_reply({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (reply.status, reply.text) == ("refused", "I cannot help with that.")


def test_stop_reasons_are_in_the_words_of_the_messages_api() -> None:
    body = openai_chat.write_reply(REPLY)
    for theirs, ours in openai_chat.STOP_REASONS.items():
        body["choices"][0]["finish_reason"] = theirs
        assert openai_chat.read_reply(body).stop_reason == ours


def test_an_error_frame_is_an_error() -> None:
    reader = openai_chat.StreamReader()
    reader.feed(write_event({"error": {"message": "The server had an error"}}))
    assert reader.reply().error == "The server had an error"


def test_only_the_first_of_several_choices_is_read() -> None:
    reader = openai_chat.StreamReader()
    for index, said in ((0, "yes"), (1, "no")):
        reader.feed(write_event({"choices": [{"index": index, "delta": {"content": said}}]}))
    assert reader.reply().text == "yes"


def test_developer_messages_are_instructions() -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]},
        ],
        "max_tokens": 5,
        "n": 2,
    }
    call = openai_chat.read_request(body)
    assert (call.system, call.user, call.turns, call.max_tokens) == ("Be brief.", "2 + 2?", 1, 5)
    assert not call.wants_usage
    assert not call.plain


def test_tool_calls_are_joined_by_their_index() -> None:
    reader = openai_chat.StreamReader()
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "look"}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "go"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {
            "tool_calls": [
                {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"x"'}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"name": None, "arguments": ":1}"}}]},
    ]
    for delta in deltas:
        reader.feed(write_event({"choices": [{"index": 0, "delta": delta}]}))
    reader.feed(
        write_event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    )
    calls = [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "go", "arguments": "{}"}},
    ]
    reply = reader.reply()
    assert reply.blocks == ({"role": "assistant", "tool_calls": calls},)
    assert reply.stop_reason == "tool_use"
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    assert openai_chat.read_reply({"choices": [choice]}) == reply


def test_every_choice_is_kept_where_several_were_asked_for() -> None:
    said = [{"role": "assistant", "content": word} for word in ("yes", "no")]
    body = {"choices": [{"index": n, "message": one} for n, one in enumerate(said)]}
    reply = openai_chat.read_reply(body)
    assert (reply.text, reply.blocks) == ("yes", tuple(said))


def test_usage_is_read_in_every_servers_words() -> None:
    def read(usage: dict[str, Any]) -> Usage:
        choice = {"message": {"content": "x"}}
        return openai_chat.read_reply({"choices": [choice], "usage": usage}).usage

    deepseek = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}
    assert read(deepseek) == Usage(input=9, output=5, cached=4)
    inside = {"completion_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 14}
    assert read(deepseek | inside) == Usage(input=9, output=5, cached=4, reasoning=3)
    assert read(deepseek | inside | {"total_tokens": 17}).output == 8


def test_the_service_tier_stands_in_the_usage() -> None:
    body = openai_chat.write_reply(REPLY) | {"service_tier": "flex"}
    assert openai_chat.read_reply(body).usage.tier == "flex"


def test_a_format_that_is_not_text_stands_in_the_call() -> None:
    body = openai_chat.write_request(model="m", system="s", user="u")
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}}
    assert openai_chat.read_request(body | {"response_format": form}).form == form
    assert openai_chat.read_request(body | {"response_format": {"type": "text"}}).plain

from __future__ import annotations

import json
from typing import Any

import pytest

from limbeck.capture.formats import chat
from limbeck.capture.jsonl import BadLineError


@pytest.mark.parametrize(
    "given",
    [
        {"role": "user", "content": "x"},
        {"from": "human", "value": "x"},
        {"type": "human", "content": "x"},
        {"role": "User", "content": [{"type": "text", "text": "x"}]},
        {"role": "user", "parts": [{"type": "text", "content": "x"}]},
        {"role": "user", "content": [{"type": "text", "value": "x"}]},
        {"role": "user", "content": ["x"]},
        "x",
    ],
)
def test_every_shape_of_a_message_is_the_same_message(given: Any) -> None:
    assert chat.message(given) == {"role": "user", "content": "x"}


def test_a_message_without_a_role_is_named() -> None:
    with pytest.raises(BadLineError, match=r"a message has the keys \['text'\]; wanted role"):
        chat.message({"text": "x"})


def test_media_stay_as_they_are() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": "What is it?"}, image]
    assert chat.message({"role": "user", "content": parts})["content"] == parts
    call, _ = chat.request([chat.message({"role": "user", "content": parts})], model="m")
    assert call.has_media
    assert call.user == "What is it?"


def test_tool_calls_are_read_from_parts_and_from_beside_them() -> None:
    want = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}]
    part = {"type": "tool_call", "id": "c", "name": "look", "arguments": {"a": 1}}
    block = {"type": "tool_use", "id": "c", "name": "look", "input": {"a": 1}}
    for given in ({"parts": [part]}, {"content": [block]}, {"content": "", "tool_calls": want}):
        assert chat.message({"role": "assistant", **given})["tool_calls"] == want


def test_what_filled_a_template_is_one_question_in_json() -> None:
    assert chat.messages({"animal": "limpet"}) == [
        {"role": "user", "content": '{"animal":"limpet"}'}
    ]
    assert chat.messages(None) == chat.messages("") == []


@pytest.mark.parametrize("written", ['{"label":  "yes"}', "[1,  2]", "3", "{broken"])
def test_json_that_the_model_wrote_is_kept_to_the_byte(written: str) -> None:
    read = chat.reply(written)
    assert read is not None
    assert read[0].text == written


def test_a_whole_body_is_read_by_its_dialect() -> None:
    bodies = {
        "anthropic": {"type": "message", "content": [{"type": "text", "text": "x"}]},
        "openai_chat": {"choices": [{"message": {"content": "x"}}]},
        "openai_responses": {
            "object": "response",
            "status": "completed",
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "x"}],
                }
            ],
        },
    }
    for name, body in bodies.items():
        for given in (body, json.dumps(body)):
            read = chat.reply(given)
            assert read is not None
            assert (read[0].text, read[1]) == ("x", name)


@pytest.mark.parametrize("nothing", [None, "", {}, [], [None], [""]])
def test_nothing_is_no_reply(nothing: Any) -> None:
    assert chat.reply(nothing) is None

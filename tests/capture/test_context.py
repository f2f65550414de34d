from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from limbeck.capture.context import Context, context_of, read_context
from limbeck.models.dialects import anthropic, openai_responses

PICTURE = bytes(range(256))
BASE64 = base64.b64encode(PICTURE).decode()
NAME = "sha256:40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880"


def anthropic_image(data: str = BASE64) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return {"type": "image", "source": source}


def of(*content: Any) -> Context:
    turns = [{"role": "user", "content": one} for one in content]
    found = context_of(anthropic.read_request({"model": "m", "messages": turns}))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("block", "prefix"),
    [
        (anthropic_image(), ""),
        ({"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}, ""),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
            "image/png",
        ),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{BASE64}"}, "image/png"),
        ({"type": "file", "file": {"file_data": f"data:x/y;base64,{BASE64}"}}, "x/y"),
    ],
)
def test_media_are_kept_once_by_their_hash(block: dict[str, Any], prefix: str) -> None:
    text = {"type": "text", "text": "what is this?"}
    context = of([block, text, block])
    assert context.blobs[NAME] == PICTURE
    assert len(context.blobs) == 2
    kept = context.blobs[context.name].decode()
    assert kept.count(f'"blob":"{NAME}"') == 2
    assert BASE64 not in kept
    assert prefix in kept
    assert read_context(kept.encode(), context.blobs.get) == {"last": [block, text, block]}


def test_an_image_of_an_earlier_turn_is_kept_once_too() -> None:
    turn = [anthropic_image(), {"type": "text", "text": "a"}]
    context = of(turn, "b")
    assert set(context.blobs) == {context.name, NAME}
    read = read_context(context.blobs[context.name], context.blobs.get)
    assert read == {"earlier": [{"role": "user", "content": turn}]}


@pytest.mark.parametrize(
    "data",
    ["A" * 130, "A" * 131 + "=", "no base64 " * 20, "A" * 131 + "\n", "short", "A" * 130 + "B="],
)
def test_what_is_not_base64_to_the_letter_stays_as_it_is(data: str) -> None:
    context = of([anthropic_image(data)])
    read = read_context(context.blobs[context.name], context.blobs.get)
    assert read == {"last": [anthropic_image(data)]}


def test_a_picture_by_its_address_stays_an_address() -> None:
    block = {"type": "image_url", "image_url": {"url": "https://example.org/" + "a" * 200}}
    context = of([block])
    assert json.loads(context.blobs[context.name]) == {"last": [block]}


def test_media_that_are_gone_are_named() -> None:
    context = of([anthropic_image()])
    with pytest.raises(KeyError, match=NAME):
        read_context(context.blobs[context.name], lambda _: None)


@pytest.mark.parametrize(
    "given",
    [
        "text",
        [{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}],
        [{"role": "user", "content": [{"type": "input_text", "text": "y"}]}],
    ],
)
def test_a_single_question_in_text_has_no_context(given: Any) -> None:
    assert context_of(openai_responses.read_request({"model": "m", "input": given})) is None


def test_items_that_are_no_messages_are_context() -> None:
    items = [{"role": "user", "content": "a"}, {"type": "function_call_output", "output": "b"}]
    context = context_of(openai_responses.read_request({"model": "m", "input": items}))
    assert context is not None
    assert json.loads(context.blobs[context.name]) == {"later": items[1:]}

"""Calls of the official clients in all their ways, each with the reply that it gets on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

TOOL = {
    "name": "look_up",
    "description": "Look an order up.",
    "input_schema": {"type": "object", "properties": {"order": {"type": "string"}}},
}
FUNCTION = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
    },
}
ASKED = [{"role": "user", "content": "Item back after 12 days. Refund?"}]


class Ruling(BaseModel):
    verdict: str
    days: int


def messages(**more: Any) -> dict[str, Any]:
    return {
        "model": "claude-test-1",
        "max_tokens": 1024,
        "system": "Decide.",
        "messages": ASKED,
        **more,
    }


def chat(**more: Any) -> dict[str, Any]:
    system = {"role": "system", "content": "Decide."}
    return {"model": "gpt-test-1", "messages": [system, *ASKED], **more}


def dumped(result: Any) -> Any:
    return result.model_dump(warnings=False) if isinstance(result, BaseModel) else result


def read_stream(stream: Any) -> list[Any]:
    with stream as events:
        return [dumped(event) for event in events]


def read_helper(manager: Any) -> list[Any]:
    with manager as stream:
        events = [(event.type, dumped(event)) for event in stream]
        final = getattr(stream, "get_final_message", None) or stream.get_final_completion
        return [*events, dumped(final())]


def read_packed(raw: Any) -> Any:
    return raw.headers["request-id"], raw.status_code, dumped(raw.parse())


def read_raw(manager: Any) -> bytes:
    with manager as response:
        return b"".join(response.iter_bytes())


def read_lines(manager: Any) -> list[str]:
    with manager as response:
        return list(response.iter_lines())


ANTHROPIC: dict[str, tuple[str, Callable[[anthropic.Anthropic], Any]]] = {
    "create": ("anthropic.text.json", lambda c: dumped(c.messages.create(**messages()))),
    "thinking": (
        "anthropic.thinking.json",
        lambda c: dumped(
            c.messages.create(
                **messages(thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)
            )
        ),
    ),
    "tools": (
        "anthropic.tools.json",
        lambda c: dumped(c.messages.create(**messages(tools=[TOOL]))),
    ),
    "parse": (
        "anthropic.schema.json",
        lambda c: dumped(c.messages.parse(**messages(output_format=Ruling)).parsed_output),
    ),
    "beta": (
        "anthropic.text.json",
        lambda c: dumped(c.beta.messages.create(**messages(betas=["x-1"]))),
    ),
    "raw": (
        "anthropic.text.json",
        lambda c: read_packed(c.messages.with_raw_response.create(**messages())),
    ),
    "streaming response": (
        "anthropic.text.json",
        lambda c: read_raw(c.messages.with_streaming_response.create(**messages())),
    ),
    "stream": (
        "anthropic.text.sse",
        lambda c: read_stream(c.messages.create(**messages(), stream=True)),
    ),
    "stream helper": ("anthropic.text.sse", lambda c: read_helper(c.messages.stream(**messages()))),
    "stream of thinking": (
        "anthropic.thinking.sse",
        lambda c: read_helper(c.messages.stream(**messages())),
    ),
    "stream of tools": (
        "anthropic.tools.sse",
        lambda c: read_helper(c.messages.stream(**messages(tools=[TOOL]))),
    ),
    "stream as lines": (
        "anthropic.text.sse",
        lambda c: read_lines(c.messages.with_streaming_response.create(**messages(), stream=True)),
    ),
}

COUNTED = {"include_usage": True}

OPENAI: dict[str, tuple[str, Callable[[openai.OpenAI], Any]]] = {
    "create": ("openai_chat.text.json", lambda c: dumped(c.chat.completions.create(**chat()))),
    "tools": (
        "openai_chat.tools.json",
        lambda c: dumped(c.chat.completions.create(**chat(tools=[FUNCTION]))),
    ),
    "parse": (
        "openai_chat.schema.json",
        lambda c: dumped(c.chat.completions.parse(**chat(response_format=Ruling))),
    ),
    "raw": (
        "openai_chat.text.json",
        lambda c: read_packed(c.chat.completions.with_raw_response.create(**chat())),
    ),
    "streaming response": (
        "openai_chat.text.json",
        lambda c: read_raw(c.chat.completions.with_streaming_response.create(**chat())),
    ),
    "stream": (
        "openai_chat.usage.sse",
        lambda c: read_stream(
            c.chat.completions.create(**chat(stream_options=COUNTED), stream=True)
        ),
    ),
    "stream helper": (
        "openai_chat.usage.sse",
        lambda c: read_helper(c.chat.completions.stream(**chat(stream_options=COUNTED))),
    ),
    "stream of tools": (
        "openai_chat.tools.sse",
        lambda c: read_stream(
            c.chat.completions.create(**chat(tools=[FUNCTION], stream_options=COUNTED), stream=True)
        ),
    ),
    "responses": (
        "openai_responses.text.json",
        lambda c: dumped(
            c.responses.create(model="gpt-test-1", instructions="Decide.", input="12 days")
        ),
    ),
    "stream of responses": (
        "openai_responses.text.sse",
        lambda c: read_stream(
            c.responses.create(
                model="gpt-test-1", instructions="Decide.", input="12 days", stream=True
            )
        ),
    ),
}

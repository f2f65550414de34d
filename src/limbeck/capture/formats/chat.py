"""Messages in the several shapes that exports give them, brought into that of Chat Completions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from limbeck.capture.formats.loose import loaded, words
from limbeck.capture.jsonl import BadLineError
from limbeck.capture.places import as_text
from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.fields import mapping, sequence, text
from limbeck.models.dialects.table import dialect
from limbeck.types import canonical_json

CHAT = "openai_chat"
ROLES = {
    "human": "user",
    "gpt": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
}
"""Other tools' words for the roles: ShareGPT, LangChain, Gemini."""
REASONING = ("reasoning_content", "reasoning", "thinking", "thought")
"""Where a message keeps the thinking before its text: DeepSeek, OpenRouter and vLLM, datasets."""
REASONING_PARTS = ("thinking", "reasoning", "thought")


def message(given: Any) -> dict[str, Any]:
    """One message. Raises BadLineError where it has no role."""
    if isinstance(given, str):
        return {"role": "user", "content": given}
    source = mapping(given)
    role = _role(source)
    if role is None:
        raise BadLineError(
            f"a message has the keys {sorted(source)!r}; wanted role and content, or from and value"
        )
    content = next(
        (source[key] for key in ("content", "value", "parts") if source.get(key) is not None), None
    )
    said, thought = _content(content)
    made: dict[str, Any] = {"role": role, "content": said}
    thought = _thought(source) or thought
    if thought:
        made["reasoning_content"] = thought
    calls = sequence(loaded(source.get("tool_calls"))) or _calls(content)
    if calls:
        made["tool_calls"] = calls
    for key in ("tool_call_id", "name", "refusal"):
        if source.get(key) is not None:
            made[key] = source[key]
    return made


def _role(source: Mapping[str, Any]) -> str | None:
    said = words(source.get("role") or source.get("from"))
    # LangChain writes the role as the type; a part of a message has a type too.
    kind = words(source.get("type"))
    if said is None and kind in (*ROLES, *ROLES.values(), "system", "tool"):
        said = kind
    return None if said is None else ROLES.get(said.lower(), said.lower())


def messages(given: Any) -> list[dict[str, Any]]:
    """A list of messages; a single message or a text is a list of one, and so is any other object:
    what filled a template, as JSON."""
    value = loaded(given)
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        system = value.get("system")
        value = [*([{"role": "system", "content": system}] if system else []), *value["messages"]]
    if value is None or value == "":
        return []
    if isinstance(value, Mapping) and _role(value) is None:
        value = canonical_json(value)
    return [message(one) for one in (value if isinstance(value, list) else [value])]


def _thought(source: Mapping[str, Any]) -> str | None:
    return next((value for key in REASONING if (value := text(source.get(key)))), None)


def _content(content: Any) -> tuple[Any, str | None]:
    """What was said, and what was thought before it. One text where there is only text."""
    if isinstance(content, str) or content is None:
        return content or "", None
    if not isinstance(content, list):
        return canonical_json(content), None
    said: list[dict[str, Any]] = []
    thought: list[str] = []
    for part in content:
        if isinstance(part, str):
            said.append({"type": "text", "text": part})
            continue
        kind = mapping(part).get("type")
        words_of = _text_of(mapping(part))
        if kind in REASONING_PARTS:
            thought.append(words_of or "")
        elif kind in ("text", "output_text", "input_text", None) and words_of is not None:
            said.append({"type": "text", "text": words_of})
        elif kind not in ("tool_call", "tool_use"):
            said.append(mapping(part))
    plain = all(part.get("type") == "text" for part in said)
    joined = "\n".join(part["text"] for part in said) if plain else said
    return joined, "\n".join(thought) or None


def _text_of(part: Mapping[str, Any]) -> str | None:
    """The words of a part: OpenAI and Anthropic `text`, OpenTelemetry `content`, TensorZero `value`;
    a template's arguments as JSON."""
    for key in ("text", "content", "value", "thinking", "reasoning", "arguments"):
        value = part.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, dict | list):
            return canonical_json(value)
    return None


def _calls(content: Any) -> list[dict[str, Any]]:
    """The tool calls among the parts of a message."""
    made = []
    for part in map(mapping, sequence(content)):
        if part.get("type") in ("tool_call", "tool_use"):
            given = part.get("arguments", part.get("input", part.get("raw_arguments")))
            arguments = given if isinstance(given, str) else canonical_json(given or {})
            function = {"name": words(part.get("name")) or "", "arguments": arguments}
            made.append({"id": part.get("id"), "type": "function", "function": function})
    return made


def request(
    asked: Iterable[dict[str, Any]], *, model: str | None, tools: Any = None, form: Any = None
) -> tuple[Call, dict[str, Any]]:
    """The call that asks these messages, and its body."""
    body: dict[str, Any] = {"model": model or "", "messages": list(asked)}
    if tools:
        body["tools"] = tools
    if form:
        body["response_format"] = form
    return read_request(CHAT, body), body


def read_request(name: str, body: Any) -> Call:
    """The call of a body in that dialect. Raises BadLineError where it is none."""
    try:
        return dialect(name).read_request(body)
    except DataError as error:
        raise BadLineError(str(error)) from None


def spoken(body: Mapping[str, Any]) -> str | None:
    """The dialect of a reply body, or None where it is none that is known."""
    if body.get("type") == "message" and isinstance(body.get("content"), list):
        return "anthropic"
    if body.get("object") == "response" and isinstance(body.get("output"), list):
        return "openai_responses"
    choice = mapping((sequence(body.get("choices")) or [None])[0])
    return CHAT if isinstance(choice.get("message"), dict) else None


def read_reply(name: str, body: Any) -> Reply:
    """The reply of a body in that dialect. Raises BadLineError where it is none."""
    try:
        return dialect(name).read_reply(body)
    except DataError as error:
        raise BadLineError(str(error)) from None


def reply(
    given: Any, *, model: str | None = None, finish: str | None = None
) -> tuple[Reply, str | None] | None:
    """What an export gives as the output: a whole reply body, a message, a list of them or a text.

    Also the dialect, where it is a whole body. None where there is nothing. A text that holds other
    JSON is what the model wrote, to the byte.
    """
    value = loaded(given)
    if isinstance(value, list):
        value = _one_of(value)
    if value is None or value in ("", {}):
        return None
    if isinstance(value, dict):
        name = spoken(value)
        if name is not None:
            return read_reply(name, value), name
        value = mapping(value.get("message")) or value
        own_shape = {"role"} if isinstance(given, str) else _SHAPE
        if own_shape & set(value):
            finish = finish or words(value.get("finish_reason"))
            return _said({"role": "assistant"} | value, model, finish), None
    said = given if isinstance(given, str) else as_text(value)
    return _said({"role": "assistant", "content": said}, model, finish), None


_SHAPE = {"role", "content", "tool_calls", "parts"}
"""A message has one of these."""


def _one_of(parts: list[Any]) -> Any:
    """The last of several messages; parts of one message as that message."""
    there = [one for one in parts if one]
    if there and all(
        isinstance(one, dict) and "type" in one and "role" not in one for one in there
    ):
        return {"role": "assistant", "content": there}
    last = there[-1] if there else None
    return last if last is None or isinstance(last, dict | str) else there


def _said(given: Mapping[str, Any], model: str | None, finish: str | None) -> Reply:
    choice = {"index": 0, "message": message(given), "finish_reason": finish}
    return read_reply(CHAT, {"model": model, "choices": [choice]})

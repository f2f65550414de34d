"""OpenAI Chat Completions: POST /v1/chat/completions, also spoken by many other servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.events import (
    DONE,
    Backlog,
    EventReader,
    pieces,
    read_json,
    write_event,
)
from limbeck.models.dialects.fields import (
    around_question,
    count,
    has_media,
    joined_text,
    mapping,
    sequence,
    text,
    writable,
)
from limbeck.models.dialects.growing import GrowingMessage
from limbeck.types import Usage

NAME = "openai_chat"
PATH = "/v1/chat/completions"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
BASE_PATH = "/v1"
"""The part of a gateway path that a base URL of this dialect already holds."""
KEY_ENV = "OPENAI_API_KEY"
INSTRUCTION_ROLES = ("system", "developer")
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "function_call": "tool_use",
}
FINISH_REASONS = {reason: word for word, reason in reversed(STOP_REASONS.items())}
REASONING = ("reasoning_content", "reasoning")
TEXT_FIELDS = ("role", "content", "refusal", *REASONING)
"""The fields of a message that is text and thinking, and nothing more."""


def headers(api_key: str | None) -> dict[str, str]:
    """The headers that a request of this dialect needs."""
    key = {"authorization": f"Bearer {api_key}"} if api_key else {}
    return {"content-type": "application/json", **key}


def read_request(body: Any) -> Call:
    """The call that a request body makes. Raises DataError where the body is not such a request."""
    request = mapping(body)
    messages = [mapping(message) for message in sequence(request.get("messages"))]
    model = text(request.get("model"))
    if model is None or not messages:
        raise DataError(
            f"request body has the keys {sorted(request)!r}; wanted `model` and `messages` "
            "as in Chat Completions"
        )
    instructions = [m for m in messages if m.get("role") in INSTRUCTION_ROLES]
    turns = [m for m in messages if m.get("role") not in INSTRUCTION_ROLES]
    earlier, content, later = around_question(turns)
    limit = count(request.get("max_completion_tokens")) or count(request.get("max_tokens"))
    tools = request.get("tools") or request.get("functions") or None
    return Call(
        model=model,
        system="\n".join(joined_text(m.get("content")) for m in instructions),
        user=joined_text(content),
        stream=request.get("stream") is True,
        max_tokens=limit or None,
        thinking=request.get("reasoning_effort") not in (None, "none")
        or mapping(request.get("thinking")).get("type") == "enabled",
        turns=len(turns),
        has_tools=bool(tools or request.get("web_search_options")),
        has_media=bool(request.get("audio")) or any(has_media(m.get("content")) for m in messages),
        candidates=count(request.get("n")) or 1,
        wants_usage=mapping(request.get("stream_options")).get("include_usage") is True,
        tools=tools,
        form=_form(request.get("response_format")),
        earlier=earlier,
        later=later,
        last=content if has_media(content) else None,
    )


def _form(given: Any) -> Any:
    # Text is what a reply is anyway.
    return None if mapping(given).get("type") == "text" else given


def write_request(
    *, model: str, system: str, user: str, max_tokens: int = 1024, stream: bool = False
) -> dict[str, Any]:
    """The body that asks `user` under the instruction `system`."""
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {
        "model": model,
        "max_completion_tokens": max_tokens,
        "messages": [*messages, {"role": "user", "content": user}],
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def read_reply(body: Any) -> Reply:
    """The first choice of a response body. Raises DataError where it is not such a response."""
    completion = mapping(body)
    choices = [mapping(choice) for choice in sequence(completion.get("choices"))]
    if not choices:
        raise DataError(
            f"reply has the keys {sorted(completion)!r}; wanted `choices` as in Chat Completions"
        )
    messages = [mapping(choice.get("message")) for choice in choices]
    return _reply(completion, messages, text(choices[0].get("finish_reason")))


def _reply(
    completion: dict[str, Any],
    messages: list[dict[str, Any]],
    finish: str | None,
    error: str | None = None,
) -> Reply:
    first = messages[0]
    refusal = text(first.get("refusal"))
    reason = "refusal" if refusal else STOP_REASONS.get(finish or "", finish)
    return Reply(
        text=joined_text(first.get("content"), "") or refusal or "",
        thinking=text(first.get(REASONING[0])) or text(first.get(REASONING[1])) or None,
        blocks=_blocks(messages),
        stop_reason=reason,
        usage=_read_usage(mapping(completion.get("usage")), text(completion.get("service_tier"))),
        model=text(completion.get("model")) or "",
        request_id=text(completion.get("id")),
        created=count(completion.get("created")),
        error=error,
    )


def _blocks(messages: list[dict[str, Any]]) -> tuple[dict[str, Any], ...] | None:
    """The messages of all choices where they are more than one message of text and thinking."""
    if len(messages) == 1 and isinstance(messages[0].get("content"), str | None):
        fields = [name for name, value in messages[0].items() if not _is_empty(value)]
        if all(name in TEXT_FIELDS for name in fields):
            return None
    # What is null or empty in one kind of reply is left out in the other.
    return tuple(
        {name: writable(value) for name, value in message.items() if not _is_empty(value)}
        for message in messages
    )


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _read_usage(usage: dict[str, Any], tier: str | None) -> Usage:
    read, wrote = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    before = mapping(usage.get("prompt_tokens_details"))
    reasoning = count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    # DeepSeek has names of its own for what came from a cache.
    cached = count(before.get("cached_tokens")) or count(usage.get("prompt_cache_hit_tokens"))
    if reasoning and count(usage.get("total_tokens")) == read + wrote + reasoning:
        wrote += reasoning  # some servers count reasoning beside the completion
    return Usage(
        input=read,
        output=wrote,
        cached=cached,
        cache_write_5m=count(before.get("cache_write_tokens")),
        reasoning=reasoning,
        tier=tier,
    )


def _write_usage(usage: Usage) -> dict[str, Any]:
    before = {"cached_tokens": usage.cached}
    written = usage.cache_write_5m + usage.cache_write_1h
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": before | ({"cache_write_tokens": written} if written else {}),
    }
    if usage.reasoning:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return counts


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    name = reply.request_id or "chatcmpl-limbeck"
    tier = {"service_tier": reply.usage.tier} if reply.usage.tier else {}
    return {"id": name, "object": kind, "created": reply.created, "model": reply.model, **tier}


def _finish(reply: Reply) -> str | None:
    return FINISH_REASONS.get(reply.stop_reason or "", reply.stop_reason)


def write_reply(reply: Reply) -> dict[str, Any]:
    """The response body that says `reply`."""
    usage = _write_usage(reply.usage)
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
        for index, message in enumerate(_messages(reply))
    ]
    return {**_head(reply, "chat.completion"), "choices": choices, "usage": usage}


def _messages(reply: Reply) -> list[dict[str, Any]]:
    empty = {"role": "assistant", "content": None, "refusal": None}
    if reply.blocks is not None:
        return [{**empty, **message} for message in reply.blocks]
    message = {**empty, "content": reply.text}
    if reply.thinking is not None:
        message["reasoning_content"] = reply.thinking
    return [message]


def write_stream(reply: Reply, *, with_usage: bool = True) -> Iterator[bytes]:
    """The frames that say `reply`, in order, to `[DONE]`.

    With usage, a last frame without choices carries it, and every other frame says `usage: null`.
    """
    head = _head(reply, "chat.completion.chunk")
    absent = {"usage": None} if with_usage else {}

    def frame(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return write_event({**head, "choices": [choice], **absent})

    for index, message in enumerate(_messages(reply)):
        yield frame(index, {"role": "assistant", "content": ""})
        for delta in _deltas(message):
            yield frame(index, delta)
        yield frame(index, {}, _finish(reply))
    if with_usage:
        yield write_event({**head, "choices": [], "usage": _write_usage(reply.usage)})
    yield write_event("[DONE]")


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for field in (*REASONING, "content", "refusal"):
        if isinstance(message.get(field), str):
            for piece in pieces(message[field]):
                yield {field: piece}
        elif message.get(field) is not None:
            yield {field: message[field]}
    for field, value in message.items():
        if field == "tool_calls":
            for index, call in enumerate(value):
                for part in _call_in_pieces(call):
                    yield {"tool_calls": [{"index": index, **part}]}
        elif field not in TEXT_FIELDS:
            yield {field: value}


def _call_in_pieces(call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A call of a tool as it starts, and then its arguments."""
    arguments = mapping(call.get("function")).get("arguments")
    if not isinstance(arguments, str):
        yield call
        return
    yield {**call, "function": {**call["function"], "arguments": ""}}
    for piece in pieces(arguments):
        yield {"function": {"arguments": piece}}


def write_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The error envelope; `status` stands in the status line and not in the body."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def read_error(body: Any) -> str | None:
    """The message in an error envelope, or None where there is none."""
    error = mapping(body).get("error")
    return text(error) or text(mapping(error).get("message"))


HEAD = ("id", "model", "created", "service_tier", "usage")


class StreamReader:
    """Collects the reply from a stream of frames while its bytes pass by."""

    def __init__(self) -> None:
        self._backlog = Backlog(b"[DONE]")
        self._completion: dict[str, Any] = {}
        self._messages: dict[int, GrowingMessage] = {0: GrowingMessage()}
        self._error: str | None = None
        self.ended = False

    def feed(self, chunk: bytes) -> None:
        """Take `chunk`; bytes may be split anywhere, also within a character."""
        self._read_all(self._backlog.feed(chunk))

    def _read_all(self, frames: list[Any]) -> None:
        for frame in frames:
            if frame is DONE:
                self.ended = True
            elif frame is None:
                self._error = "unreadable frame in the stream"
            else:
                self._read(frame)

    def _read(self, frame: dict[str, Any]) -> None:
        if frame.get("error") is not None:
            self._error = read_error(frame) or "error frame without a message"
        # The head repeats in every frame; usage comes once, and is null elsewhere.
        if not self._completion.get("id") or frame.get("usage") is not None:
            self._completion |= {
                field: frame[field] for field in HEAD if frame.get(field) is not None
            }
        for choice in sequence(frame.get("choices")):
            choice = mapping(choice)
            index = count(choice.get("index"))
            message = self._messages.get(index)
            if message is None:
                message = self._messages[index] = GrowingMessage()
            message.grow(mapping(choice.get("delta")))
            if choice.get("finish_reason") is not None:
                message.finish = text(choice["finish_reason"])

    def reply(self) -> Reply:
        """The reply as far as it has come."""
        self._read_all(self._backlog.rest())
        messages = [message for _, message in sorted(self._messages.items())]
        wholes = [message.whole() for message in messages]
        return _reply(self._completion, wholes, messages[0].finish, self._error)


def ask_for_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same streaming request, with token counts asked for."""
    options = {**mapping(body.get("stream_options")), "include_usage": True}
    return {**body, "stream_options": options}


_FRAME_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
# A quotation mark within a JSON string is always escaped, so this can only match a key.
_NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])')


class UsageHider:
    """Takes out of a stream the token counts that the client did not ask for.

    Everything else keeps its bytes: the client reads what it would have read without the counts.
    """

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of the frames that `chunk` completes, without usage."""
        self._pending += chunk
        shown = []
        start = 0
        for end in _FRAME_END.finditer(self._pending):
            shown.append(self._without_usage(self._pending[start : end.end()]))
            start = end.end()
        self._pending = self._pending[start:]
        return b"".join(shown)

    def close(self) -> bytes:
        """What stands after the last whole frame."""
        rest, self._pending = self._pending, b""
        return rest

    @staticmethod
    def _without_usage(frame: bytes) -> bytes:
        if b'"usage"' not in frame:
            return frame
        for event in EventReader().feed(frame):
            try:
                data = mapping(read_json(event.data))
            except ValueError:
                return frame
            if data.get("choices") == [] and data.get("usage") is not None:
                return b""
        return _NULL_USAGE.sub(b"", frame)

"""OpenAI Chat Completions: POST /v1/chat/completions, also spoken by many other servers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.events import EventReader, pieces, write_event
from limbeck.models.dialects.fields import count, has_media, joined_text, mapping, sequence, text
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
}
FINISH_REASONS = {reason: word for word, reason in STOP_REASONS.items()}


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
    asked = [m for m in turns if m.get("role") == "user"]
    limit = count(request.get("max_completion_tokens")) or count(request.get("max_tokens"))
    return Call(
        model=model,
        system="\n".join(joined_text(m.get("content")) for m in instructions),
        user=joined_text(asked[-1].get("content")) if asked else "",
        stream=request.get("stream") is True,
        max_tokens=limit or None,
        thinking=request.get("reasoning_effort") not in (None, "none")
        or mapping(request.get("thinking")).get("type") == "enabled",
        turns=len(turns),
        has_tools=bool(request.get("tools") or request.get("functions")),
        has_media=any(has_media(m.get("content")) for m in messages),
        candidates=count(request.get("n")) or 1,
        wants_usage=mapping(request.get("stream_options")).get("include_usage") is True,
    )


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
    choices = sequence(completion.get("choices"))
    if not choices:
        raise DataError(
            f"reply has the keys {sorted(completion)!r}; wanted `choices` as in Chat Completions"
        )
    choice = mapping(choices[0])
    message = mapping(choice.get("message"))
    return _reply(
        completion,
        said=joined_text(message.get("content"), ""),
        thought=_thought(message),
        refusal=text(message.get("refusal")),
        finish=text(choice.get("finish_reason")),
    )


def _thought(message: dict[str, Any]) -> str | None:
    return text(message.get("reasoning_content")) or text(message.get("reasoning"))


def _reply(
    completion: dict[str, Any],
    *,
    said: str,
    thought: str | None,
    refusal: str | None,
    finish: str | None,
    error: str | None = None,
) -> Reply:
    reason = "refusal" if refusal else STOP_REASONS.get(finish or "", finish)
    return Reply(
        text=said or refusal or "",
        thinking=thought,
        stop_reason=reason,
        usage=_read_usage(mapping(completion.get("usage"))),
        model=text(completion.get("model")) or "",
        request_id=text(completion.get("id")),
        created=count(completion.get("created")),
        error=error,
    )


def _read_usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        cached=count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )


def _write_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def _head(reply: Reply, kind: str) -> dict[str, Any]:
    name = reply.request_id or "chatcmpl-limbeck"
    return {"id": name, "object": kind, "created": reply.created, "model": reply.model}


def _finish(reply: Reply) -> str | None:
    return FINISH_REASONS.get(reply.stop_reason or "", reply.stop_reason)


def write_reply(reply: Reply) -> dict[str, Any]:
    """The response body that says `reply`."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.thinking is not None:
        message["reasoning_content"] = reply.thinking
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {
        **_head(reply, "chat.completion"),
        "choices": [choice],
        "usage": _write_usage(reply.usage),
    }


def write_stream(reply: Reply, *, with_usage: bool = True) -> Iterator[bytes]:
    """The frames that say `reply`, in order, to `[DONE]`.

    With usage, a last frame without choices carries it, and every other frame says `usage: null`.
    """
    head = _head(reply, "chat.completion.chunk")
    absent = {"usage": None} if with_usage else {}

    def frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return write_event({**head, "choices": [choice], **absent})

    yield frame({"role": "assistant", "content": ""})
    for piece in pieces(reply.thinking or ""):
        yield frame({"reasoning_content": piece})
    for piece in pieces(reply.text):
        yield frame({"content": piece})
    yield frame({}, _finish(reply))
    if with_usage:
        yield write_event({**head, "choices": [], "usage": _write_usage(reply.usage)})
    yield write_event("[DONE]")


def write_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The error envelope; `status` stands in the status line and not in the body."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def read_error(body: Any) -> str | None:
    """The message in an error envelope, or None where there is none."""
    error = mapping(body).get("error")
    return text(error) or text(mapping(error).get("message"))


class StreamReader:
    """Collects the first choice from a stream of frames while its bytes pass by."""

    def __init__(self) -> None:
        self._events = EventReader()
        self._completion: dict[str, Any] = {}
        self._said: list[str] = []
        self._thought: list[str] = []
        self._refused: list[str] = []
        self._finish: str | None = None
        self._error: str | None = None
        self.ended = False

    def feed(self, chunk: bytes) -> None:
        """Read `chunk`; bytes may be split anywhere, also within a character."""
        for event in self._events.feed(chunk):
            if event.data.strip() == "[DONE]":
                self.ended = True
                continue
            try:
                frame = mapping(json.loads(event.data))
            except ValueError:
                self._error = "unreadable frame in the stream"
                continue
            self._read(frame)

    def _read(self, frame: dict[str, Any]) -> None:
        if frame.get("error") is not None:
            self._error = read_error(frame) or "error frame without a message"
        # The head repeats in every frame; usage comes once, and is null elsewhere.
        for field in ("id", "model", "created", "usage"):
            if frame.get(field) is not None:
                self._completion[field] = frame[field]
        for choice in map(mapping, sequence(frame.get("choices"))):
            if count(choice.get("index")) > 0:
                continue
            delta = mapping(choice.get("delta"))
            self._said.append(joined_text(delta.get("content"), ""))
            self._thought.append(_thought(delta) or "")
            self._refused.append(text(delta.get("refusal")) or "")
            self._finish = text(choice.get("finish_reason")) or self._finish

    def reply(self) -> Reply:
        """The reply as far as it has come."""
        return _reply(
            self._completion,
            said="".join(self._said),
            thought="".join(self._thought) or None,
            refusal="".join(self._refused) or None,
            finish=self._finish,
            error=self._error,
        )


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
                data = mapping(json.loads(event.data))
            except ValueError:
                return frame
            if data.get("choices") == [] and data.get("usage") is not None:
                return b""
        return _NULL_USAGE.sub(b"", frame)

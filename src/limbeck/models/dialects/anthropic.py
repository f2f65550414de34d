"""The Anthropic Messages API: POST /v1/messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.events import EventReader, pieces, write_event
from limbeck.models.dialects.fields import count, has_media, joined_text, mapping, sequence, text
from limbeck.types import Usage

NAME = "anthropic"
PATH = "/v1/messages"
DEFAULT_BASE_URL = "https://api.anthropic.com"
BASE_PATH = ""
"""The part of a gateway path that a base URL of this dialect already holds."""
KEY_ENV = "ANTHROPIC_API_KEY"
VERSION = "2023-06-01"


def headers(api_key: str | None) -> dict[str, str]:
    """The headers that a request of this dialect needs."""
    key = {"x-api-key": api_key} if api_key else {}
    return {"content-type": "application/json", "anthropic-version": VERSION, **key}


def read_request(body: Any) -> Call:
    """The call that a request body makes. Raises DataError where the body is not such a request."""
    request = mapping(body)
    messages = [mapping(message) for message in sequence(request.get("messages"))]
    model = text(request.get("model"))
    if model is None or not messages:
        raise DataError(
            f"request body has the keys {sorted(request)!r}; wanted `model` and `messages` "
            "as in the Messages API"
        )
    asked = [message for message in messages if message.get("role") == "user"]
    return Call(
        model=model,
        system=joined_text(request.get("system")),
        user=joined_text(asked[-1].get("content")) if asked else "",
        stream=request.get("stream") is True,
        max_tokens=count(request.get("max_tokens")) or None,
        thinking=mapping(request.get("thinking")).get("type") in ("enabled", "adaptive"),
        turns=len(messages),
        has_tools=bool(request.get("tools")),
        has_media=any(has_media(message.get("content")) for message in messages),
    )


def write_request(
    *, model: str, system: str, user: str, max_tokens: int = 1024, stream: bool = False
) -> dict[str, Any]:
    """The body that asks `user` under the instruction `system`."""
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    if system:
        body["system"] = system
    body["messages"] = [{"role": "user", "content": user}]
    if stream:
        body["stream"] = True
    return body


def read_reply(body: Any) -> Reply:
    """The reply in a response body. Raises DataError where the body is not such a response."""
    message = mapping(body)
    if message.get("type") != "message":
        raise DataError(
            f"reply has the keys {sorted(message)!r} and type {message.get('type')!r}; "
            "wanted type 'message' as in the Messages API"
        )
    return _reply(message, [mapping(block) for block in sequence(message.get("content"))])


def _reply(message: dict[str, Any], blocks: list[dict[str, Any]], **more: Any) -> Reply:
    thoughts = [block for block in blocks if block.get("type") == "thinking"]
    said = [block for block in blocks if block.get("type") == "text"]
    return Reply(
        text="".join(text(block.get("text")) or "" for block in said),
        thinking="\n".join(text(block.get("thinking")) or "" for block in thoughts)
        if thoughts
        else None,
        signature=(text(thoughts[-1].get("signature")) or None) if thoughts else None,
        stop_reason=text(message.get("stop_reason")),
        usage=_read_usage(mapping(message.get("usage"))),
        model=text(message.get("model")) or "",
        request_id=text(message.get("id")),
        **more,
    )


def _read_usage(usage: dict[str, Any]) -> Usage:
    cached = count(usage.get("cache_read_input_tokens"))
    fresh = count(usage.get("input_tokens")) + count(usage.get("cache_creation_input_tokens"))
    return Usage(input=fresh + cached, output=count(usage.get("output_tokens")), cached=cached)


def _write_usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }


def write_reply(reply: Reply) -> dict[str, Any]:
    """The response body that says `reply`."""
    content: list[dict[str, Any]] = []
    if reply.thinking is not None:
        content.append(
            {
                "type": "thinking",
                "thinking": reply.thinking,
                "signature": reply.signature or "",
            }
        )
    content.append({"type": "text", "text": reply.text})
    return {
        "id": reply.request_id or "msg_limbeck",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "usage": _write_usage(reply.usage),
    }


def write_stream(reply: Reply, *, with_usage: bool = True) -> Iterator[bytes]:
    """The events that say `reply`, in order. Usage is part of this dialect, wanted or not."""
    message = write_reply(reply)
    blocks = message["content"]
    usage = message["usage"]
    message |= {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield _event("message_start", message=message)
    for index, block in enumerate(blocks):
        kind = block["type"]
        empty = {"thinking": {"signature": ""}, "text": {}}[kind]
        yield _event(
            "content_block_start", index=index, content_block={"type": kind, kind: "", **empty}
        )
        for piece in pieces(block[kind]):
            yield _delta(index, f"{kind}_delta", kind, piece)
        if block.get("signature"):
            yield _delta(index, "signature_delta", "signature", block["signature"])
        yield _event("content_block_stop", index=index)
    stop = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def _delta(index: int, kind: str, field: str, value: str) -> bytes:
    return _event("content_block_delta", index=index, delta={"type": kind, field: value})


def _event(name: str, **data: Any) -> bytes:
    return write_event({"type": name, **data}, name)


def write_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The error envelope; `status` stands in the status line and not in the body."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


def read_error(body: Any) -> str | None:
    """The message in an error envelope, or None where there is none."""
    return text(mapping(mapping(body).get("error")).get("message"))


class StreamReader:
    """Collects the reply from a stream of events while its bytes pass by."""

    def __init__(self) -> None:
        self._events = EventReader()
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._error: str | None = None
        self.ended = False

    def feed(self, chunk: bytes) -> None:
        """Read `chunk`; bytes may be split anywhere, also within a character."""
        for event in self._events.feed(chunk):
            try:
                data = mapping(json.loads(event.data))
            except ValueError:
                self._error = f"unreadable event {event.name!r} in the stream"
                continue
            self._read(event.name, data)

    def _read(self, name: str, data: dict[str, Any]) -> None:
        if name == "message_start":
            self._message = dict(mapping(data.get("message")))
            self._usage = dict(mapping(self._message.get("usage")))
        elif name == "content_block_start":
            self._blocks[count(data.get("index"))] = dict(mapping(data.get("content_block")))
        elif name == "content_block_delta":
            self._grow(count(data.get("index")), mapping(data.get("delta")))
        elif name == "message_delta":
            self._message |= mapping(data.get("delta"))
            # Counts here are cumulative and leave out, or give as null, what did not change.
            counted = mapping(data.get("usage")).items()
            self._usage |= {key: value for key, value in counted if value is not None}
        elif name == "message_stop":
            self.ended = True
        elif name == "error":
            self._error = read_error(data) or "error event without a message"
            self.ended = True

    def _grow(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks.setdefault(index, {})
        for field in ("text", "thinking"):
            piece = text(delta.get(field))
            if delta.get("type") == f"{field}_delta" and piece is not None:
                # Pieces are kept apart until the end: adding strings costs the square of length.
                block.setdefault("type", field)
                block.setdefault("pieces", []).append(piece)
        if delta.get("type") == "signature_delta":
            block["signature"] = delta.get("signature")

    def reply(self) -> Reply:
        """The reply as far as it has come."""
        blocks = []
        for _, block in sorted(self._blocks.items()):
            kind = block.get("type")
            if kind in ("text", "thinking"):
                whole = (text(block.get(kind)) or "") + "".join(block.get("pieces", ()))
                blocks.append({**block, kind: whole})
        return _reply({**self._message, "usage": self._usage}, blocks, error=self._error)

"""The Anthropic Messages API: POST /v1/messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.events import (
    DONE,
    Backlog,
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
    earlier, content, later = around_question(messages)
    tools = request.get("tools") or None
    return Call(
        model=model,
        system=joined_text(request.get("system")),
        user=joined_text(content),
        stream=request.get("stream") is True,
        max_tokens=count(request.get("max_tokens")) or None,
        thinking=mapping(request.get("thinking")).get("type") in ("enabled", "adaptive"),
        turns=len(messages),
        has_tools=bool(tools or request.get("mcp_servers")),
        has_media=any(has_media(message.get("content")) for message in messages),
        has_state=bool(request.get("container")),
        tools=tools,
        form=mapping(request.get("output_config")).get("format") or request.get("output_format"),
        earlier=earlier,
        later=later,
        last=content if has_media(content) else None,
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
    # Pieces are joined before they are read as text: a stream may cut within a surrogate pair.
    return Reply(
        text=joined_text(said, ""),
        thinking=text("\n".join(_thought(block) for block in thoughts)) if thoughts else None,
        signature=(text(thoughts[-1].get("signature")) or None) if thoughts else None,
        blocks=tuple(writable(blocks)) if any(map(_more_than_text, blocks)) else None,
        stop_reason=text(message.get("stop_reason")),
        usage=_read_usage(mapping(message.get("usage"))),
        model=text(message.get("model")) or "",
        request_id=text(message.get("id")),
        **more,
    )


def _thought(block: dict[str, Any]) -> str:
    thought = block.get("thinking")
    return thought if isinstance(thought, str) else ""


def _more_than_text(block: dict[str, Any]) -> bool:
    return block.get("type") not in ("text", "thinking") or bool(block.get("citations"))


def _read_usage(usage: dict[str, Any]) -> Usage:
    cached = count(usage.get("cache_read_input_tokens"))
    by_lifetime = mapping(usage.get("cache_creation"))
    brief = count(by_lifetime.get("ephemeral_5m_input_tokens"))
    long = count(by_lifetime.get("ephemeral_1h_input_tokens"))
    # The total may be newer than its parts, which are not repeated at the end of a stream.
    written = count(usage.get("cache_creation_input_tokens")) or brief + long
    long = min(long, written)
    return Usage(
        input=count(usage.get("input_tokens")) + written + cached,
        output=count(usage.get("output_tokens")),
        cached=cached,
        cache_write_5m=written - long,
        cache_write_1h=long,
        reasoning=count(mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
        tier=text(usage.get("service_tier")),
    )


def _write_usage(usage: Usage) -> dict[str, Any]:
    written = usage.cache_write_5m + usage.cache_write_1h
    counts: dict[str, Any] = {
        "input_tokens": usage.input - usage.cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
    if written:
        counts["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.tier:
        counts["service_tier"] = usage.tier
    return counts


def _content(reply: Reply) -> list[dict[str, Any]]:
    if reply.blocks is not None:
        return [dict(block) for block in reply.blocks]
    said = {"type": "text", "text": reply.text}
    if reply.thinking is None:
        return [said]
    signature = reply.signature or ""
    return [{"type": "thinking", "thinking": reply.thinking, "signature": signature}, said]


def write_reply(reply: Reply) -> dict[str, Any]:
    """The response body that says `reply`."""
    return {
        "id": reply.request_id or "msg_limbeck",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": _content(reply),
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
        start, deltas = _block_in_pieces(block)
        yield _event("content_block_start", index=index, content_block=start)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    stop = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def _block_in_pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and the deltas that complete it."""
    kind = block["type"]
    if kind in ("text", "thinking"):
        empty: dict[str, Any] = {kind: ""}
        deltas = [{"type": f"{kind}_delta", kind: piece} for piece in pieces(block[kind])]
        if "citations" in block:
            empty["citations"] = []
            cited = sequence(block["citations"])
            deltas += [{"type": "citations_delta", "citation": citation} for citation in cited]
        if "signature" in block:
            empty["signature"] = ""
        if block.get("signature"):
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, **empty}, deltas
    if kind == "tool_use" and block.get("input"):
        said = json.dumps(block["input"], ensure_ascii=False)
        parts = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces(said))
        return {**block, "input": {}}, list(parts)
    return block, []


def _event(name: str, **data: Any) -> bytes:
    return write_event({"type": name, **data}, name)


def write_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The error envelope; `status` stands in the status line and not in the body."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


def read_error(body: Any) -> str | None:
    """The message in an error envelope, or None where there is none."""
    return text(mapping(mapping(body).get("error")).get("message"))


PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The deltas that add to a string, and the field that holds their piece of it."""
WHOLES = ("signature_delta", "compaction_delta")
"""The deltas whose fields stand for those of their block."""


class _Block:
    """A content block that grows. Pieces are kept apart until the end: adding strings costs the square
    of their length."""

    __slots__ = ("citations", "pieces", "start")

    def __init__(self, start: dict[str, Any]) -> None:
        self.start = start
        self.pieces: dict[str, list[str]] = {}
        self.citations: list[Any] = []

    def grow(self, delta: dict[str, Any]) -> None:
        kind = delta.get("type")
        if not isinstance(kind, str):
            return
        field = PIECES.get(kind)
        if field is not None:
            piece = delta.get(field)
            if isinstance(piece, str):
                said = self.pieces.get(field)
                if said is None:
                    self.pieces[field] = [piece]
                else:
                    said.append(piece)
        elif kind == "citations_delta":
            self.citations.append(delta.get("citation"))
        elif kind in WHOLES:
            self.start = {**self.start, **delta, "type": self.start.get("type")}

    def whole(self) -> dict[str, Any]:
        """The block as a reply without a stream would have it, as far as it has come."""
        block = dict(self.start)
        for field in ("text", "thinking"):
            if field in self.pieces:
                block.setdefault("type", field)
                begun = block.get(field)
                said = "".join(self.pieces[field])
                block[field] = begun + said if isinstance(begun, str) else said
        if self.citations:
            block["citations"] = sequence(block.get("citations")) + self.citations
        given = "".join(self.pieces.get("partial_json", ()))
        if given:
            try:
                block["input"] = read_json(given)
            except ValueError:
                # The stream was cut off within the input, which is kept as far as it came.
                block["partial_json"] = given
        return block


class StreamReader:
    """Collects the reply from a stream of events while its bytes pass by."""

    def __init__(self) -> None:
        self._backlog = Backlog(b"message_stop", b"event: error")
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}
        self._error: str | None = None
        self.ended = False

    def feed(self, chunk: bytes) -> None:
        """Take `chunk`; bytes may be split anywhere, also within a character."""
        self._read_all(self._backlog.feed(chunk))

    def _read_all(self, events: list[Any]) -> None:
        for data in events:
            if data is None:
                self._error = "unreadable event in the stream"
            elif data is not DONE:
                kind = data.get("type")
                if kind == "content_block_delta":
                    self._grow(data)
                else:
                    self._read(kind, data)

    def _grow(self, data: dict[str, Any]) -> None:
        index, delta = data.get("index"), data.get("delta")
        block = self._blocks.get(index) if type(index) is int else None
        if block is None:
            block = self._begun(data)
        if isinstance(delta, dict):
            block.grow(delta)

    def _begun(self, data: dict[str, Any]) -> _Block:
        block = _Block(mapping(data.get("content_block")))
        return self._blocks.setdefault(count(data.get("index")), block)

    def _read(self, name: Any, data: dict[str, Any]) -> None:
        if name == "message_start":
            self._message = dict(mapping(data.get("message")))
            self._usage = dict(mapping(self._message.get("usage")))
        elif name == "content_block_start":
            self._begun(data)
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

    def reply(self) -> Reply:
        """The reply as far as it has come."""
        self._read_all(self._backlog.rest())
        blocks = [block.whole() for _, block in sorted(self._blocks.items())]
        return _reply({**self._message, "usage": self._usage}, blocks, error=self._error)

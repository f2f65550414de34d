"""The bytes that a gateway is measured with: requests and replies in two dialects, made beforehand.

A request says in its own text how the teacher should behave (`wait=000200` and so on), so that one
teacher serves every measurement and any gateway in between passes the wish on unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

from limbeck.types import Noun

Dialect = Literal["messages", "chat"]

PATHS: dict[Dialect, str] = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}
MODELS: dict[Dialect, str] = {"messages": "claude-sonnet-4-5", "chat": "gpt-4o"}
REPLY_BYTES = 2048
EVENTS = 60
LAST_WORD = "Answer: refund"
"""Where a gateway may write the reply anew, this must still stand in it."""

_DIGITS = 12
_INSTRUCTION = " ".join(
    [
        "You sort the messages that customers of a mail-order house write after a purchase.",
        "Read the whole message before you decide. Choose exactly one of: refund, exchange,",
        "repair, delivery, invoice, complaint, praise, other. A message that asks for money back is",
        "a refund even where it names a fault. A message that asks for another size, colour or model",
        "is an exchange. A fault without a wish is a repair where the article is older than thirty",
        "days, and a refund where it is not. Questions about where a parcel is belong to delivery,",
        "and questions about sums, dates of payment or tax belong to invoice. Anger alone is a",
        "complaint. Thanks alone are praise. Do not guess at facts that the message does not state.",
        "Say in a few sentences how the choice follows from the message, naming the words that it",
        "rests on, and end with a line that begins with 'Answer:' and holds the label alone.",
    ]
)
_MESSAGE = " ".join(
    [
        "Order {counter}. The kettle came on Tuesday and leaked from the first day, so that the",
        "kitchen table has a mark now. I wrote to the shop twice and had no reply. I do not want a",
        "second one of the same kind, please send back what I paid for it.",
        "{asked}",
    ]
)
_REASONING = " ".join(
    [
        "The customer reports that the kettle leaked from the first day, which is a fault of the",
        "article and not of its use. The message names the day on which it came, so it is younger",
        "than thirty days. The customer rules out a second one of the same kind, which speaks against",
        "an exchange, and asks to be sent back what was paid.",
    ]
)


class Behaviour(Noun):
    """How the teacher is asked to behave: `wait_ms` before the first byte; a stream goes out in
    `writes` parts, `every_ms` apart (0: in the next turn of its event loop)."""

    wait_ms: int = 0
    every_ms: int = 0
    writes: int = 1

    def text(self) -> str:
        return f"(wait={self.wait_ms:06} every={self.every_ms:06} writes={self.writes:06})"

    @classmethod
    def read(cls, text: bytes) -> Behaviour:
        """What `text` says. Raises ValueError where it says nothing of the kind."""
        found = re.fullmatch(rb"\(wait=(\d+) every=(\d+) writes=(\d+)\)", text)
        if found is None:
            raise ValueError(f"behaviour is {text!r}; wanted {cls().text()!r}")
        wait, every, writes = map(int, found.groups())
        return cls(wait_ms=wait, every_ms=every, writes=writes)


BEHAVIOUR_STARTS = b"(wait="
BEHAVIOUR_BYTES = len(Behaviour().text())


class Request:
    """Requests of one length that differ in a counter; `head` and `tail` stand around it."""

    def __init__(
        self, dialect: Dialect, *, path: str, host: str, stream: bool, asked: Behaviour
    ) -> None:
        mark = "#" * _DIGITS
        body = json.dumps(_request_body(dialect, stream, mark, asked), separators=(",", ":"))
        lines = [
            f"POST {path} HTTP/1.1",
            f"host: {host}",
            "accept: application/json",
            "content-type: application/json",
            "user-agent: bench/1.0",
            "authorization: Bearer sk-of-nobody",
            *_named(dialect),
            f"content-length: {len(body)}",
        ]
        whole = "\r\n".join([*lines, "", body]).encode()
        self.head, _, self.tail = whole.partition(mark.encode())

    def write(self, counter: int) -> bytes:
        return b"%b%0*d%b" % (self.head, _DIGITS, counter, self.tail)


def _named(dialect: Dialect) -> list[str]:
    if dialect == "chat":
        return []
    return ["anthropic-version: 2023-06-01", "x-api-key: sk-of-nobody"]


def _request_body(dialect: Dialect, stream: bool, counter: str, asked: Behaviour) -> dict[str, Any]:
    message = _MESSAGE.format(counter=counter, asked=asked.text())
    turn = {"role": "user", "content": message}
    body: dict[str, Any] = {"model": MODELS[dialect], "max_tokens": 1024, "temperature": 0}
    if dialect == "messages":
        body |= {"system": _INSTRUCTION, "messages": [turn]}
    else:
        body |= {"messages": [{"role": "system", "content": _INSTRUCTION}, turn]}
    return {**body, "stream": True} if stream else body


def reply_body(dialect: Dialect) -> bytes:
    """The body of a reply that is no stream: REPLY_BYTES long."""
    empty = json.dumps(_reply(dialect, "")).encode()
    # The line end before the answer takes one byte more in JSON than in the text.
    text = _said(REPLY_BYTES - len(empty) - 1)
    return json.dumps(_reply(dialect, text)).encode()


def reply(dialect: Dialect) -> bytes:
    """A whole response with `reply_body`."""
    body = reply_body(dialect)
    return _headers("application/json", f"content-length: {len(body)}") + body


def stream_events(dialect: Dialect) -> list[bytes]:
    """The EVENTS events of a streamed reply, each with its ending."""
    if dialect == "messages":
        return [
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            for event in _message_events(_tokens(EVENTS - 6))
        ]
    told = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chat_chunks(_tokens(EVENTS - 3))]
    return [event.encode() for event in [*told, "data: [DONE]\n\n"]]


def stream(dialect: Dialect, writes: int) -> list[bytes]:
    """A whole streamed response in `writes` parts, one chunk of the transfer an event."""
    events = stream_events(dialect)
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    chunks[-1] += b"0\r\n\r\n"
    bounds = [round(part * len(chunks) / writes) for part in range(writes + 1)]
    parts = [b"".join(chunks[low:high]) for low, high in pairwise(bounds)]
    parts[0] = _headers("text/event-stream; charset=utf-8", "transfer-encoding: chunked") + parts[0]
    return parts


def _headers(content_type: str, length: str) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        f"content-type: {content_type}",
        length,
        "cache-control: no-cache",
        "request-id: req_011CQx5dUqYh2nVt8wPzR3Ga",
        "anthropic-ratelimit-requests-limit: 4000",
        "anthropic-ratelimit-requests-remaining: 3999",
        "anthropic-ratelimit-requests-reset: 2026-01-01T00:00:00Z",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _said(length: int) -> str:
    """`length` characters of reasoning that end with the answer."""
    ending = f"\n{LAST_WORD}"
    reasoning = f"{_REASONING} " * (length // len(_REASONING) + 1)
    return reasoning[: length - len(ending)] + ending


def _tokens(count: int) -> list[str]:
    """`count` pieces of about a token each; the last one is the answer's line."""
    words = (f"{_REASONING} " * count).split(" ")[: count - 1]
    return [*(f"{word} " for word in words), f"\n{LAST_WORD}"]


def _reply(dialect: Dialect, text: str) -> dict[str, Any]:
    if dialect == "messages":
        return {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": MODELS[dialect],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": _MESSAGES_USAGE,
        }
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-BsK4Q7vXvT5hM2",
        "object": "chat.completion",
        "created": 1767225600,
        "model": MODELS[dialect],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 352, "completion_tokens": 331, "total_tokens": 683},
    }


_MESSAGES_USAGE = {
    "input_tokens": 352,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 331,
}


def _message_events(texts: Iterable[str]) -> list[dict[str, Any]]:
    opened = {**_reply("messages", ""), "content": [], "stop_reason": None}
    deltas = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        }
        for text in texts
    ]
    return [
        {"type": "message_start", "message": opened},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "ping"},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 331},
        },
        {"type": "message_stop"},
    ]


def _chat_chunks(texts: Iterable[str]) -> list[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {
            "id": "chatcmpl-BsK4Q7vXvT5hM2",
            "object": "chat.completion.chunk",
            "created": 1767225600,
            "model": MODELS["chat"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        }

    told = [chunk({"content": text}) for text in texts]
    return [chunk({"role": "assistant", "content": ""}), *told, chunk({}, "stop")]

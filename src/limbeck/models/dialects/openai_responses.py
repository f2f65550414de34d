"""OpenAI Responses: POST /v1/responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.events import DONE, Backlog, write_event
from limbeck.models.dialects.fields import (
    MOST,
    around_question,
    count,
    has_media,
    joined_text,
    mapping,
    sequence,
    text,
    writable,
)
from limbeck.models.dialects.responses_events import response_events
from limbeck.types import Usage

NAME = "openai_responses"
PATH = "/v1/responses"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
BASE_PATH = "/v1"
"""The part of a gateway path that a base URL of this dialect already holds."""
KEY_ENV = "OPENAI_API_KEY"
INSTRUCTION_ROLES = ("system", "developer")
KEPT_BY_PROVIDER = ("previous_response_id", "conversation", "prompt", "background")
"""The fields that make a call more than what it says."""
STOP_REASONS = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}
INCOMPLETE = {reason: word for word, reason in STOP_REASONS.items()}
WAITING = (
    "function_call",
    "custom_tool_call",
    "computer_call",
    "shell_call",
    "local_shell_call",
    "apply_patch_call",
    "mcp_approval_request",
)
"""The items to which the client has to answer."""
THOUGHTS = {"content": "reasoning_text", "summary": "summary_text"}
"""Where a reasoning item has its text: in full from open models, else in a summary."""


def headers(api_key: str | None) -> dict[str, str]:
    """The headers that a request of this dialect needs."""
    key = {"authorization": f"Bearer {api_key}"} if api_key else {}
    return {"content-type": "application/json", **key}


def read_request(body: Any) -> Call:
    """The call that a request body makes. Raises DataError where the body is not such a request."""
    request = mapping(body)
    given = request.get("input")
    stored = any(request.get(field) for field in KEPT_BY_PROVIDER)
    model = text(request.get("model"))
    # A prompt that the provider keeps may name the model, and hold the input.
    whole = model is not None and given
    if not isinstance(given, str | list | None) or not (whole or stored):
        raise DataError(
            f"request body has the keys {sorted(request)!r}; wanted `model` and `input` "
            "as in the Responses API"
        )
    items = [mapping(item) for item in _items(given)]
    instructions = [item for item in items if item.get("role") in INSTRUCTION_ROLES]
    turns = [item for item in items if item.get("role") not in INSTRUCTION_ROLES]
    earlier, content, later = around_question(turns)
    told = [
        text(request.get("instructions")),
        *(joined_text(i.get("content")) for i in instructions),
    ]
    effort = mapping(request.get("reasoning")).get("effort")
    tools = request.get("tools") or None
    return Call(
        model=model or "",
        system="\n".join(part for part in told if part),
        user=joined_text(content),
        stream=request.get("stream") is True,
        max_tokens=count(request.get("max_output_tokens")) or None,
        thinking=effort not in (None, "none"),
        turns=len(turns),
        has_tools=bool(tools),
        has_media=any(has_media(item.get("content")) for item in items),
        has_state=stored,
        tools=tools,
        form=_form(mapping(request.get("text")).get("format")),
        earlier=earlier,
        later=later,
        last=content if has_media(content) else None,
    )


def _items(given: str | list[Any] | None) -> list[Any]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return given or []


def _form(given: Any) -> Any:
    # Text is what a reply is anyway.
    return None if mapping(given).get("type") == "text" else given


def write_request(
    *, model: str, system: str, user: str, max_tokens: int = 1024, stream: bool = False
) -> dict[str, Any]:
    """The body that asks `user` under the instruction `system`; the provider is told to keep nothing."""
    body: dict[str, Any] = {"model": model, "max_output_tokens": max_tokens}
    if system:
        body["instructions"] = system
    body |= {"input": user, "store": False}
    if stream:
        body["stream"] = True
    return body


def read_reply(body: Any) -> Reply:
    """The reply in a response body. Raises DataError where the body is not such a response."""
    response = mapping(body)
    if response.get("object") != "response":
        raise DataError(
            f"reply has the keys {sorted(response)!r} and object {response.get('object')!r}; "
            "wanted object 'response' as in the Responses API"
        )
    return _reply(response)


def _reply(response: dict[str, Any], error: str | None = None) -> Reply:
    items = [mapping(item) for item in sequence(response.get("output"))]
    parts = [part for item in items if _is_message(item) for part in _parts(item, "content")]
    refusals = [part.get("refusal") for part in parts if part.get("type") == "refusal"]
    refusal = "".join(said for said in refusals if isinstance(said, str))
    thoughts = [_thought(item) for item in items if item.get("type") == "reasoning"]
    created = response.get("created_at")
    return Reply(
        text=joined_text([part for part in parts if part.get("type") == "output_text"], "")
        or text(refusal)
        or "",
        thinking=text("\n".join(thought for thought in thoughts if thought)) or None,
        blocks=tuple(writable(items)) if any(map(_more_than_text, items)) else None,
        stop_reason="refusal" if refusal else _stop_reason(response, items),
        usage=_read_usage(mapping(response.get("usage")), text(response.get("service_tier"))),
        model=text(response.get("model")) or "",
        request_id=text(response.get("id")),
        created=int(created) if isinstance(created, int | float) and 0 < created < MOST else 0,
        error=error or _failure(response),
    )


def _is_message(item: dict[str, Any]) -> bool:
    return item.get("type") == "message"


def _parts(item: dict[str, Any], field: str) -> list[dict[str, Any]]:
    return [mapping(part) for part in sequence(item.get(field))]


def _thought(item: dict[str, Any]) -> str:
    for field in THOUGHTS:
        said = [part.get("text") for part in _parts(item, field)]
        if said:
            return "\n".join(one for one in said if isinstance(one, str))
    return ""


def _more_than_text(item: dict[str, Any]) -> bool:
    if item.get("type") == "reasoning":
        return bool(item.get("encrypted_content"))
    return not _is_message(item) or any(
        part.get("type") not in ("output_text", "refusal") or part.get("annotations")
        for part in _parts(item, "content")
    )


def _stop_reason(response: dict[str, Any], items: list[dict[str, Any]]) -> str | None:
    status = response.get("status")
    if status == "incomplete":
        reason = text(mapping(response.get("incomplete_details")).get("reason"))
        return STOP_REASONS.get(reason or "")
    if status != "completed":
        return None
    return "tool_use" if any(item.get("type") in WAITING for item in items) else "end_turn"


def _failure(response: dict[str, Any]) -> str | None:
    if response.get("status") not in ("failed", "cancelled"):
        return None
    said = text(mapping(response.get("error")).get("message"))
    return said or f"the response has status {response['status']!r}"


def _read_usage(usage: dict[str, Any], tier: str | None) -> Usage:
    before = mapping(usage.get("input_tokens_details"))
    return Usage(
        input=count(usage.get("input_tokens")),
        output=count(usage.get("output_tokens")),
        cached=count(before.get("cached_tokens")),
        cache_write_5m=count(before.get("cache_write_tokens")),
        reasoning=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
        tier=tier,
    )


def _write_usage(usage: Usage) -> dict[str, Any]:
    written = usage.cache_write_5m + usage.cache_write_1h
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def write_reply(reply: Reply) -> dict[str, Any]:
    """The response body that says `reply`."""
    status, details = _ending(reply)
    failed = {"code": "server_error", "message": reply.error} if reply.error else None
    return {
        "id": reply.request_id or "resp_limbeck",
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "error": failed,
        "incomplete_details": details,
        "instructions": None,
        "metadata": {},
        "model": reply.model,
        "output": _output(reply),
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        **({"service_tier": reply.usage.tier} if reply.usage.tier else {}),
        "usage": _write_usage(reply.usage),
    }


def _ending(reply: Reply) -> tuple[str, dict[str, Any] | None]:
    if reply.error is not None:
        return "failed", None
    if reply.stop_reason in INCOMPLETE:
        return "incomplete", {"reason": INCOMPLETE[reply.stop_reason]}
    return "in_progress" if reply.stop_reason is None else "completed", None


def _output(reply: Reply) -> list[dict[str, Any]]:
    if reply.blocks is not None:
        return [dict(item) for item in reply.blocks]
    name = (reply.request_id or "resp_limbeck").removeprefix("resp_")
    said = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{name}",
        "type": "message",
        "status": "incomplete" if reply.stop_reason == "max_tokens" else "completed",
        "role": "assistant",
        "content": [said],
    }
    if reply.thinking is None:
        return [message]
    thought = {"type": "summary_text", "text": reply.thinking}
    return [{"id": f"rs_{name}", "type": "reasoning", "summary": [thought]}, message]


def write_stream(reply: Reply, *, with_usage: bool = True) -> Iterator[bytes]:
    """The events that say `reply`, in order. Usage is part of this dialect, wanted or not."""
    response = write_reply(reply)
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    begun |= {"error": None, "incomplete_details": None}
    for number, (name, data) in enumerate(response_events(response, begun)):
        yield write_event({"type": name, "sequence_number": number, **data}, name)


def write_error(status: int, kind: str, message: str) -> dict[str, Any]:
    """The error envelope; `status` stands in the status line and not in the body."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def read_error(body: Any) -> str | None:
    """The message in an error envelope or error event, or None where there is none."""
    error = mapping(body).get("error")
    return text(error) or text(mapping(error).get("message")) or text(mapping(body).get("message"))


LAST = ("response.completed", "response.incomplete", "response.failed")
HEADS = ("response.created", "response.queued", "response.in_progress")
ITEMS = ("response.output_item.added", "response.output_item.done")
DELTAS = {
    "response.output_text.delta": ("content", "content_index", "output_text", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text", "text"),
    "response.function_call_arguments.delta": ("arguments", None, None, None),
    "response.custom_tool_call_input.delta": ("input", None, None, None),
}
"""Which part of its item a delta adds to: the item's field, the place in that field's list, the kind of
part that stands there, and the part's field."""


class StreamReader:
    """Collects the reply from a stream of events while its bytes pass by.

    The last event repeats the whole response. The others count where the stream breaks off before it.
    """

    def __init__(self) -> None:
        self._backlog = Backlog(*(name.encode() for name in LAST), b"event: error")
        self._response: dict[str, Any] = {}
        self._items: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str, int], list[str]] = {}
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
                self._read(str(data.get("type")), data)

    def _read(self, name: str, data: dict[str, Any]) -> None:
        if name in DELTAS:
            piece, index = data.get("delta"), count(data.get("output_index"))
            if isinstance(piece, str):
                place = DELTAS[name][1]
                key = (index, name, count(data.get(place)) if place else 0)
                self._pieces.setdefault(key, []).append(piece)
        elif name in ITEMS:
            self._item(name, count(data.get("output_index")), mapping(data.get("item")))
        elif name in HEADS or name in LAST:
            self._response = mapping(data.get("response"))
            self.ended = name in LAST
        elif name == "error":  # the other events repeat what these say, or tell of progress
            self._error = read_error(data) or "error event without a message"
            self.ended = True

    def _item(self, name: str, index: int, item: dict[str, Any]) -> None:
        self._items[index] = item
        if name == "response.output_item.done":
            self._pieces = {key: said for key, said in self._pieces.items() if key[0] != index}

    def reply(self) -> Reply:
        """The reply as far as it has come."""
        self._read_all(self._backlog.rest())
        response = self._response
        if not self.ended or not isinstance(response.get("output"), list):
            response = {**response, "output": self._grown()}
        return _reply(response, self._error)

    def _grown(self) -> list[dict[str, Any]]:
        """The items as far as they have come."""
        items = {index: dict(item) for index, item in self._items.items()}
        for (index, name, at), said in sorted(self._pieces.items()):
            field, place, kind, inner = DELTAS[name]
            kinds = {"content": "message", "summary": "reasoning"}
            item = items.setdefault(index, {"type": kinds.get(field)})
            if place is None or inner is None:
                item[field] = (text(item.get(field)) or "") + "".join(said)
            else:
                parts = list(sequence(item.get(field)))
                parts[at : at + 1] = [{"type": kind, inner: "".join(said)}]
                item[field] = parts
        return [item for _, item in sorted(items.items())]

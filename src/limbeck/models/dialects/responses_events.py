"""A response of the Responses API as the events of a stream.

Source: the event types of the official Python client, `openai.types.responses`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from limbeck.models.dialects.events import pieces
from limbeck.models.dialects.fields import sequence

Named = tuple[str, dict[str, Any]]
"""The name of an event, and its data without the name and the number."""


def response_events(response: dict[str, Any], begun: dict[str, Any]) -> Iterator[Named]:
    """The events that say `response`, which looked like `begun` at first."""
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(response["output"]):
        start, growing = _started(item)
        place = {"output_index": index}
        yield "response.output_item.added", {**place, "item": start}
        for name, data in growing:
            yield name, {"item_id": item.get("id"), **place, **data}
        yield "response.output_item.done", {**place, "item": item}
    # A response that is still in progress has no last event: its stream broke off.
    if response["status"] != "in_progress":
        yield f"response.{response['status']}", {"response": response}


def _started(item: dict[str, Any]) -> tuple[dict[str, Any], Iterator[Named]]:
    """An item as it starts, and the events in which it grows."""
    kind = item.get("type")
    if kind == "message":
        parts = sequence(item.get("content"))
        return {**item, "status": "in_progress", "content": []}, _said(parts)
    if kind == "reasoning":
        return {**item, "summary": []}, _summarized(sequence(item.get("summary")))
    if kind == "function_call":
        return {**item, "status": "in_progress", "arguments": ""}, _called(item)
    return item, iter(())


def _said(parts: list[dict[str, Any]]) -> Iterator[Named]:
    for index, part in enumerate(parts):
        field = "refusal" if part.get("type") == "refusal" else "text"
        name = f"response.{part.get('type')}"
        place = {"content_index": index}
        yield "response.content_part.added", {**place, "part": {**part, field: ""}}
        more: dict[str, Any] = {"logprobs": []} if field == "text" else {}
        for piece in pieces(part.get(field) or ""):
            yield f"{name}.delta", {**place, "delta": piece, **more}
        yield f"{name}.done", {**place, field: part.get(field), **more}
        yield "response.content_part.done", {**place, "part": part}


def _summarized(parts: list[dict[str, Any]]) -> Iterator[Named]:
    for index, part in enumerate(parts):
        place = {"summary_index": index}
        yield "response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield "response.reasoning_summary_text.delta", {**place, "delta": piece}
        yield "response.reasoning_summary_text.done", {**place, "text": part["text"]}
        yield "response.reasoning_summary_part.done", {**place, "part": part}


def _called(item: dict[str, Any]) -> Iterator[Named]:
    for piece in pieces(item["arguments"]):
        yield "response.function_call_arguments.delta", {"delta": piece}
    done = {"name": item.get("name"), "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", done

"""Spans of OpenInference, as Arize Phoenix exports them: JSON, JSON Lines, CSV or Parquet.

The attributes may be flat (`llm.input_messages.0.message.role`), nested, or columns of a data frame
(`attributes.llm.input_messages` with a list of `{"message.role": ...}`). Spans that are no LLM span are
passed over. Annotations of the row are read as scores.

Sources: OpenInference, "Semantic Conventions",
https://arize-ai.github.io/openinference/spec/attributes/semantic-conventions.html; Phoenix, "Export
Data & Query Spans", https://arize.com/docs/phoenix/how-to/extract-data-from-spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import SURE, Imported, Score, Sign, Skipped
from limbeck.capture.formats.loose import (
    first,
    loaded,
    moment,
    nested,
    number,
    seconds_between,
    tokens,
    usage_of,
    words,
)
from limbeck.capture.formats.requests import Requests
from limbeck.models.dialects.fields import mapping, sequence
from limbeck.types import OutcomeSource, Usage

NEEDS_REQUESTS = False
ANNOTATORS: dict[str, OutcomeSource] = {"HUMAN": "human", "CODE": "verifier", "LLM": "verifier"}
_TELLING = ("llm.", "openinference.", "attributes.llm", "attributes.openinference")


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A span with attributes that OpenInference names."""
    attributes = loaded(row.get("attributes"))
    names = [*row, *(attributes if isinstance(attributes, dict) else ())]
    telling = next((name for name in names if str(name).startswith(_TELLING)), None)
    if telling is not None:
        return Sign(SURE, f"it has the attribute {telling!r}")
    if "span_kind" in row and isinstance(attributes, dict):
        return Sign(SURE, "it has the keys 'span_kind' and 'attributes'")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The call of an LLM span. Raises BadLineError."""
    span = nested({key: loaded(value) for key, value in row.items()})
    attributes = mapping(span.get("attributes")) or span
    kind = words(first(span, "span_kind")) or words(
        mapping(mapping(attributes.get("openinference")).get("span")).get("kind")
    )
    if kind is not None and kind.upper() not in ("LLM", "UNKNOWN"):
        yield Skipped(f"not a model call ({kind.lower()})")
        return
    if str(first(span, "status_code", "statusCode")).upper().endswith("ERROR"):
        yield Skipped("the call failed")
        return
    yield _call(span, attributes)


def _call(span: Mapping[str, Any], attributes: Mapping[str, Any]) -> Imported | Skipped:
    llm = mapping(attributes.get("llm"))
    model = words(llm.get("model_name"))
    asked = _messages(llm.get("input_messages")) or chat.messages(
        mapping(attributes.get("input")).get("value")
    )
    answers = _messages(llm.get("output_messages"))
    read = chat.reply(answers or mapping(attributes.get("output")).get("value"), model=model)
    if not any(one["role"] == "user" for one in asked) or read is None:
        return Skipped("the input or the output was not kept")
    reply, dialect = read
    context = mapping(span.get("context"))
    parameters = mapping(loaded(llm.get("invocation_parameters")))
    call, body = chat.request(
        asked,
        model=model,
        tools=_tools(llm) or parameters.get("tools"),
        form=parameters.get("response_format"),
    )
    start, end = moment(span.get("start_time")), moment(span.get("end_time"))
    metadata = mapping(loaded(attributes.get("metadata")))
    return Imported(
        call=call,
        body=body,
        reply=reply,
        dialect=dialect,
        request_id=words(context.get("span_id")) or words(first(span, "span_id", "id")),
        correlation=words(metadata.get("correlation")),
        subject=words(mapping(attributes.get("user")).get("id")),
        generator=model,
        at=start,
        latency_s=seconds_between(start, end),
        cost_usd=number(mapping(llm.get("cost")).get("total")),
        usage=_usage(mapping(llm.get("token_count"))),
        scores=tuple(_scores(span, attributes)),
    )


def _messages(given: Any) -> list[dict[str, Any]]:
    """Messages; each may stand within an object `message`, with its parts in `contents`."""
    read = []
    for one in map(mapping, sequence(given)):
        inner = mapping(one.get("message")) or one
        parts = [
            mapping(part.get("message_content")) or part
            for part in map(mapping, sequence(inner.get("contents")))
        ]
        calls = [_tool_call(mapping(call)) for call in sequence(inner.get("tool_calls"))]
        made = {"role": inner.get("role"), "content": parts or inner.get("content")}
        for name in chat.REASONING:
            if inner.get(name):
                made[name] = inner[name]
        read.append(chat.message(made | ({"tool_calls": calls} if calls else {})))
    return read


def _tool_call(given: Mapping[str, Any]) -> dict[str, Any]:
    call = mapping(given.get("tool_call")) or given
    return {"id": call.get("id"), "type": "function", "function": mapping(call.get("function"))}


def _tools(llm: Mapping[str, Any]) -> list[Any]:
    schemas = [mapping(mapping(one).get("tool")) for one in sequence(llm.get("tools"))]
    return [loaded(schema.get("json_schema")) for schema in schemas if schema.get("json_schema")]


def _usage(counts: Mapping[str, Any]) -> Usage | None:
    # A data frame may keep the total beside an object of details.
    prompt = mapping(counts.get("prompt_details"))
    completion = mapping(counts.get("completion_details"))
    return usage_of(
        tokens(counts.get("prompt")),
        tokens(counts.get("completion")),
        tokens(prompt.get("cache_read")),
        cache_write_5m=tokens(prompt.get("cache_write")),
        reasoning=tokens(completion.get("reasoning")),
    )


def _scores(span: Mapping[str, Any], attributes: Mapping[str, Any]) -> Iterator[Score]:
    for one in (
        *sequence(span.get("annotations")),
        *sequence(span.get("span_annotations")),
        *sequence(attributes.get("annotations")),
    ):
        annotation = mapping(mapping(one).get("annotation")) or mapping(one)
        result = mapping(annotation.get("result")) or annotation
        name = words(annotation.get("name"))
        if name is not None:
            value = first(result, "label", "score", "value")
            kind = str(annotation.get("annotator_kind")).upper()
            yield Score(name, value, ANNOTATORS.get(kind, "downstream"))
    for name, given in mapping(span.get("eval")).items():
        yield Score(name, first(mapping(given), "label", "score"), "verifier")

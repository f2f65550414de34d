"""OpenTelemetry: OTLP in JSON, one document or one a line, with `gen_ai.*` attributes.

The messages are read from `gen_ai.input.messages` and `gen_ai.output.messages` (of a span, or of the
event `gen_ai.client.inference.operation.details`), and in older exports from `gen_ai.prompt.N`,
`gen_ai.completion.N` and the events that had a message each. `gen_ai.usage.input_tokens` includes
cached tokens, as ours does. Other spans are passed over.

Sources: OpenTelemetry, "OTLP/HTTP, JSON Protobuf Encoding", https://opentelemetry.io/docs/specs/otlp/;
"OpenTelemetry Protocol File Exporter", https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/;
and those of `gen_ai`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat, gen_ai
from limbeck.capture.formats.imported import SURE, Imported, Sign, Skipped
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
from limbeck.capture.jsonl import BadLineError
from limbeck.models.dialects.fields import mapping, sequence
from limbeck.types import Usage

NEEDS_REQUESTS = False
ERROR_STATUS = (2, "2", "STATUS_CODE_ERROR")


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """The outer object of OTLP."""
    for key in ("resourceSpans", "resourceLogs"):
        if isinstance(row.get(key), list):
            return Sign(SURE, f"it has the key {key!r}")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The calls of the spans and events. Raises BadLineError."""
    if recognise(row) is None:
        raise BadLineError(
            f"the row has the keys {sorted(row)!r}; wanted resourceSpans or resourceLogs; "
            f"name another format with --format"
        )
    for resource in map(mapping, sequence(row.get("resourceSpans"))):
        for scope in map(mapping, sequence(resource.get("scopeSpans"))):
            for span in map(mapping, sequence(scope.get("spans"))):
                yield _span(span)
    for resource in map(mapping, sequence(row.get("resourceLogs"))):
        for scope in map(mapping, sequence(resource.get("scopeLogs"))):
            for record in map(mapping, sequence(scope.get("logRecords"))):
                yield _record(record)


def _span(span: Mapping[str, Any]) -> Imported | Skipped:
    attributes = _attributes(span.get("attributes"))
    events = [
        (words(event.get("name")) or "", _attributes(event.get("attributes")))
        for event in map(mapping, sequence(span.get("events")))
    ]
    for name, told in events:
        if name == gen_ai.EVENT_DETAILS:
            attributes = told | attributes
    if mapping(span.get("status")).get("code") in ERROR_STATUS:
        return Skipped("the call failed")
    start, end = moment(span.get("startTimeUnixNano")), moment(span.get("endTimeUnixNano"))
    return _call(span, attributes, events, start, seconds_between(start, end))


def _record(record: Mapping[str, Any]) -> Imported | Skipped:
    attributes = _attributes(record.get("attributes"))
    name = words(record.get("eventName")) or words(attributes.get("event.name"))
    if name != gen_ai.EVENT_DETAILS:
        return Skipped(f"not a model call ({name or 'log record'})")
    at = moment(first(record, "timeUnixNano", "observedTimeUnixNano"))
    return _call(record, attributes, [], at, None)


def _call(
    span: Mapping[str, Any],
    attributes: Mapping[str, Any],
    events: list[tuple[str, dict[str, Any]]],
    at: Any,
    latency_s: float | None,
) -> Imported | Skipped:
    operation = words(attributes.get(gen_ai.OPERATION))
    if not any(name.startswith(gen_ai.PREFIX) for name in attributes):
        return Skipped(f"not a model call ({words(span.get('name')) or 'span'})")
    if operation is not None and operation not in gen_ai.OPERATIONS:
        return Skipped(f"not a model call ({operation})")
    model = words(first(attributes, gen_ai.RESPONSE_MODEL, gen_ai.REQUEST_MODEL))
    asked, answered = _messages(attributes, events)
    read = chat.reply(answered, model=model, finish=_finish(attributes, answered))
    if not any(one["role"] == "user" for one in asked) or read is None:
        return Skipped("the messages were not kept")
    call, body = chat.request(
        asked,
        model=words(attributes.get(gen_ai.REQUEST_MODEL)) or model,
        tools=loaded(attributes.get(gen_ai.TOOL_DEFINITIONS)),
    )
    return Imported(
        call=call,
        body=body,
        reply=read[0],
        request_id=words(attributes.get(gen_ai.RESPONSE_ID)) or words(span.get("spanId")),
        group=words(attributes.get(gen_ai.CONVERSATION)),
        generator=model,
        at=at,
        latency_s=latency_s,
        usage=_usage(attributes),
    )


def _messages(
    attributes: Mapping[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> tuple[list[dict[str, Any]], Any]:
    """What was asked, and the output as it stands; from the newest names that are there."""
    asked = chat.messages(attributes.get(gen_ai.INPUT_MESSAGES))
    answered = loaded(attributes.get(gen_ai.OUTPUT_MESSAGES))
    system = loaded(attributes.get(gen_ai.SYSTEM_INSTRUCTIONS))
    if system and asked:
        asked = [chat.message({"role": "system", "content": system}), *asked]
    if not asked:
        asked = _older(attributes, gen_ai.PROMPT_OLD)
    if not answered:
        answered = _older(attributes, gen_ai.COMPLETION_OLD)
    for name, told in events:
        content = loaded(told.get("message")) or told
        if name == gen_ai.EVENT_PROMPT_OLD:
            asked = asked or chat.messages(told.get(gen_ai.PROMPT_OLD))
        elif name == gen_ai.EVENT_COMPLETION_OLD:
            answered = answered or loaded(told.get(gen_ai.COMPLETION_OLD))
        elif name == gen_ai.EVENT_CHOICE_OLD:
            answered = answered or content
        elif name in gen_ai.EVENT_MESSAGES_OLD:
            role = gen_ai.EVENT_MESSAGES_OLD[name]
            asked.append(chat.message({"role": role} | mapping(content)))
    return asked, answered


def _older(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """`gen_ai.prompt.0.role` and the like, or the whole as JSON under the bare name."""
    if prefix in attributes:
        return chat.messages(attributes[prefix])
    numbered = {
        name.removeprefix(f"{prefix}."): value
        for name, value in attributes.items()
        if name.startswith(f"{prefix}.")
    }
    made = []
    for one in map(mapping, sequence(nested(numbered))):
        if one.get("role"):
            finish = {key: one[key] for key in ("finish_reason",) if key in one}
            made.append(chat.message({**one, "content": loaded(one.get("content"))}) | finish)
    return made


def _finish(attributes: Mapping[str, Any], answered: Any) -> str | None:
    reasons = sequence(loaded(attributes.get(gen_ai.FINISH_REASONS)))
    last = mapping(answered[-1] if isinstance(answered, list) and answered else answered)
    said = words(last.get("finish_reason")) or words(reasons[0] if reasons else None)
    return gen_ai.FINISHED.get(said or "", said)


def _usage(attributes: Mapping[str, Any]) -> Usage | None:
    return usage_of(
        tokens(first(attributes, gen_ai.INPUT_TOKENS, gen_ai.INPUT_TOKENS_OLD)),
        tokens(first(attributes, gen_ai.OUTPUT_TOKENS, gen_ai.OUTPUT_TOKENS_OLD)),
        tokens(attributes.get(gen_ai.CACHE_READ_TOKENS)),
        cache_write_5m=tokens(attributes.get(gen_ai.CACHE_WRITE_TOKENS)),
        reasoning=tokens(attributes.get(gen_ai.REASONING_TOKENS)),
    )


def _attributes(given: Any) -> dict[str, Any]:
    """Attributes as a list of `{"key", "value"}`; a plain object is taken as it is."""
    if isinstance(given, dict):
        return given
    return {
        str(pair.get("key")): _value(pair.get("value")) for pair in map(mapping, sequence(given))
    }


def _value(given: Any) -> Any:
    """An AnyValue of OTLP; 64-bit integers are texts there."""
    value = mapping(given)
    if "intValue" in value:
        whole = number(value["intValue"])
        return None if whole is None else int(whole)
    if "arrayValue" in value:
        return [_value(one) for one in sequence(mapping(value["arrayValue"]).get("values"))]
    if "kvlistValue" in value:
        return _attributes(mapping(value["kvlistValue"]).get("values"))
    return first(value, "stringValue", "boolValue", "doubleValue")

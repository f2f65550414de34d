"""Observations of Langfuse: JSON, JSON Lines or CSV from its pages, API or blob storage.

Generations are calls; spans and events are not. Names come in two cases: camel case from the API and
the pages, snake case from blob storage. In CSV, objects are JSON in a cell. `usageDetails` counts the
input without what was read from a cache (`input_cached_tokens`, `input_cache_read`, ...), which is
added here. Scores that stand in the row (`scores`) are read; the file of scores is not.

Sources: Langfuse, "Blob Storage Export Field Reference",
https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields; the API's types
ObservationsView and ScoreV1.
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
SCORE_SOURCES: dict[str, OutcomeSource] = {"ANNOTATION": "human", "EVAL": "verifier"}
"""Who gives a score: a person, an evaluator, or (API) the application."""
_TELLING = (
    "usageDetails",
    "usage_details",
    "costDetails",
    "cost_details",
    "completionStartTime",
    "completion_start_time",
    "parentObservationId",
    "parent_observation_id",
    "promptTokens",
    "calculatedTotalCost",
    "providedModelName",
    "provided_model_name",
)
_CACHED = ("cache_read", "cached_tokens", "cache_read_input_tokens")
_WRITTEN = ("cache_creation", "cache_write")


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """An observation: it belongs to a trace and has names that only Langfuse uses."""
    of_trace = {"traceId", "trace_id"} & set(row)
    telling = [name for name in _TELLING if name in row]
    if of_trace and telling and ({"input", "output"} & set(row)):
        return Sign(SURE, f"it has the keys {min(of_trace)!r} and {telling[0]!r} of an observation")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The call of a generation. Raises BadLineError."""
    kind = (words(row.get("type")) or "GENERATION").upper()
    if kind != "GENERATION":
        yield Skipped(f"not a model call ({kind.lower()})")
        return
    if str(row.get("level")).upper() == "ERROR":
        yield Skipped("the call failed")
        return
    model = words(first(row, "model", "providedModelName", "provided_model_name"))
    asked = chat.messages(row.get("input"))
    read = chat.reply(row.get("output"), model=model)
    if not asked or read is None:
        yield Skipped("the input or the output was not kept")
        return
    reply, dialect = read
    given = loaded(row.get("input"))
    tools = given.get("tools") if isinstance(given, dict) else None
    call, body = chat.request(asked, model=model, tools=tools)
    start = moment(first(row, "startTime", "start_time"))
    end = moment(first(row, "endTime", "end_time"))
    metadata = mapping(loaded(row.get("metadata")))
    yield Imported(
        call=call,
        body=body,
        reply=reply,
        dialect=dialect,
        request_id=words(row.get("id")),
        correlation=words(first(metadata, "correlation", "request_id")),
        subject=words(first(row, "userId", "user_id")),
        generator=model,
        at=start,
        latency_s=seconds_between(start, end),
        cost_usd=_cost(row),
        usage=_usage(row),
        scores=tuple(_scores(row)),
    )


def _usage(row: Mapping[str, Any]) -> Usage | None:
    details = mapping(loaded(first(row, "usageDetails", "usage_details")))
    if not details:
        usage = mapping(loaded(row.get("usage")))
        read = first(usage, "input", "promptTokens", "prompt_tokens")
        written = first(usage, "output", "completionTokens", "completion_tokens")
        read = read if read is not None else first(row, "promptTokens", "inputTokens")
        written = written if written is not None else first(row, "completionTokens", "outputTokens")
        return usage_of(tokens(read), tokens(written))
    inputs = {key: tokens(n) for key, n in details.items() if key.startswith("input")}
    bare = {key: tokens(n) for key, n in details.items() if key.startswith("cache")}
    outputs = {key: tokens(n) for key, n in details.items() if key.startswith("output")}
    parts = inputs | bare
    written = {key: n for key, n in parts.items() if any(word in key for word in _WRITTEN)}
    return usage_of(
        sum(parts.values()),
        sum(outputs.values()),
        sum(n for key, n in parts.items() if any(word in key for word in _CACHED)),
        cache_write_5m=sum(n for key, n in written.items() if "1h" not in key),
        cache_write_1h=sum(n for key, n in written.items() if "1h" in key),
        reasoning=sum(n for key, n in outputs.items() if "reasoning" in key),
    )


def _cost(row: Mapping[str, Any]) -> float | None:
    details = mapping(loaded(first(row, "costDetails", "cost_details")))
    given = number(details.get("total"))
    if given is None:
        given = number(first(row, "totalCost", "total_cost", "calculatedTotalCost"))
    return given if given is not None and given > 0 else None


def _scores(row: Mapping[str, Any]) -> Iterator[Score]:
    given = loaded(row.get("scores"))
    if isinstance(given, dict):
        for name, value in given.items():
            yield Score(name, value, "downstream")
    for one in map(mapping, sequence(given)):
        name = words(one.get("name"))
        if name is not None:
            value = first(one, "stringValue", "string_value", "value")
            source = SCORE_SOURCES.get(str(one.get("source")).upper(), "downstream")
            at = moment(first(one, "timestamp", "updatedAt", "updated_at"))
            yield Score(name, value, source, at)

"""TensorZero: rows of ChatInference and JsonInference, and what its inference queries return.

`input` is `{"system", "messages"}`; `output` is a list of content blocks (`text`, `thought`,
`tool_call`) or, of JSON functions, `{"raw", "parsed"}`. In rows of the database both are JSON in a
text. The rows name no model and no tokens: the generator is `function::variant`. Feedback that is
joined to the row as `feedback` or `metrics` (an object by the metric's name) is read. A
demonstration in the place of the output is a person's answer, so the row is one of human origin.

Sources: TensorZero, "Data Model", https://tensorzero.com/docs/gateway/data-model; "Query historical
inferences", https://www.tensorzero.com/docs/observability/query-historical-inferences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import SURE, Imported, Score, Sign, Skipped
from limbeck.capture.formats.loose import first, loaded, moment, number, words
from limbeck.capture.formats.requests import Requests
from limbeck.models.dialects.fields import mapping, sequence

NEEDS_REQUESTS = False


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A function and its variant."""
    if {"function_name", "variant_name"} <= set(row) and ({"input", "output"} & set(row)):
        return Sign(SURE, "it has the keys 'function_name' and 'variant_name'")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The call of an inference. Raises BadLineError."""
    given = mapping(loaded(first(row, "stored_input", "input")))
    asked = chat.messages(given) if given.get("messages") else []
    output = loaded(first(row, "output", "stored_output"))
    parsed = isinstance(output, dict) and "raw" in output
    read = chat.reply(words(output["raw"]) if parsed else output)
    if sequence(row.get("dispreferred_outputs")):
        yield Skipped("the output is a demonstration and not what the model said")
        return
    if not any(one["role"] == "user" for one in asked) or read is None:
        yield Skipped("the input or the output was not kept")
        return
    parameters = mapping(loaded(row.get("tool_params")))
    call, body = chat.request(
        asked,
        model=f"{words(row.get('function_name'))}::{words(row.get('variant_name'))}",
        tools=first(parameters, "additional_tools", "tools_available", "dynamic_tools"),
        form=loaded(row.get("output_schema")) if parsed else None,
    )
    tags = mapping(loaded(row.get("tags")))
    took = number(row.get("processing_time_ms"))
    yield Imported(
        call=call,
        body=body,
        reply=read[0],
        request_id=words(first(row, "inference_id", "id")),
        correlation=words(tags.get("correlation")),
        subject=words(tags.get("user_id")),
        group=words(row.get("episode_id")),
        generator=call.model,
        at=moment(row.get("timestamp")),
        latency_s=None if took is None else took / 1000,
        scores=tuple(_scores(row)),
    )


def _scores(row: Mapping[str, Any]) -> Iterator[Score]:
    given = loaded(first(row, "feedback", "metrics"))
    if isinstance(given, dict):
        for name, value in given.items():
            yield Score(name, value, _source(name))
    for one in map(mapping, sequence(given)):
        name = words(first(one, "metric_name", "name"))
        if name is not None:
            yield Score(name, one.get("value"), _source(name), moment(one.get("timestamp")))


def _source(name: str) -> Any:
    return "human" if name == "demonstration" else "downstream"

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from limbeck.capture.formats.imported import Imported, Score, Skipped
from limbeck.capture.formats.openinference import read, recognise
from limbeck.capture.importer import import_file
from limbeck.store.store import Store

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]

FRAME_ROW: dict[str, Any] = {
    "name": "ChatCompletion",
    "span_kind": "LLM",
    "start_time": datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC),
    "end_time": datetime(2026, 5, 28, 20, 26, 41, tzinfo=UTC),
    "context.span_id": "sp-1",
    "context.trace_id": "tr-1",
    "attributes.llm.model_name": "gpt-5-mini",
    "attributes.llm.input_messages": [
        {"message.role": "user", "message.content": "Is a limpet a mollusc?"}
    ],
    "attributes.llm.output_messages": [
        {"message.role": "assistant", "message.content": "Answer: yes"}
    ],
    "attributes.llm.token_count.prompt": 20,
    "attributes.llm.token_count.completion": 9,
}


def call(row: dict[str, Any]) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def test_flat_attributes_are_messages(sample: Sample) -> None:
    made = call(sample("openinference")[0])
    assert (made.call.system, made.call.user) == ("Answer yes or no.", "Is a limpet a mollusc?")
    assert made.reply.text == "It has a foot.\nAnswer: yes"
    assert (made.request_id, made.generator) == ("sp-1", "gpt-5-mini")
    assert (made.correlation, made.latency_s) == ("order-7", 1.5)
    assert made.usage is not None
    assert (made.usage.input, made.usage.cached, made.usage.output) == (20, 4, 9)


def test_nested_attributes_are_the_same_call(sample: Sample) -> None:
    [flat] = sample("openinference")
    nested = {
        **flat,
        "attributes": {
            "openinference": {"span": {"kind": "LLM"}},
            "metadata": {"correlation": "order-7"},
            "llm": {
                "model_name": "gpt-5-mini",
                "input_messages": [
                    {"message": {"role": "system", "content": "Answer yes or no."}},
                    {"message": {"role": "user", "content": "Is a limpet a mollusc?"}},
                ],
                "output_messages": [
                    {"message": {"role": "assistant", "content": "It has a foot.\nAnswer: yes"}}
                ],
                "token_count": {
                    "prompt": 20,
                    "completion": 9,
                    "total": 29,
                    "prompt_details": {"cache_read": 4},
                },
            },
        },
    }
    assert recognise(nested) is not None
    assert call(nested) == call(flat)


def test_contents_and_tool_calls_of_a_message_are_kept() -> None:
    row = {
        "attributes": {
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.input_messages.0.message.contents.0.message_content.text": "Is it?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c-1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{}",
            "llm.tools.0.tool.json_schema": json.dumps({"type": "function"}),
        }
    }
    made = call(row)
    assert made.call.user == "Is it?"
    assert made.body["tools"] == [{"type": "function"}]
    assert made.reply.blocks


def test_other_kinds_of_spans_are_skipped(sample: Sample) -> None:
    [row] = sample("openinference")
    assert list(read({**row, "span_kind": "CHAIN"}, None)) == [Skipped("not a model call (chain)")]
    assert list(read({**row, "status_code": "ERROR"}, None)) == [Skipped("the call failed")]


def test_the_value_of_the_span_stands_in_for_missing_messages() -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "input.value": json.dumps({"messages": [{"role": "user", "content": "Is it?"}]}),
        "output.value": json.dumps({"choices": [{"message": {"content": "yes"}}]}),
    }
    made = call({"span_kind": "LLM", "attributes": attributes})
    assert (made.call.user, made.reply.text) == ("Is it?", "yes")


def test_annotations_are_scores(sample: Sample) -> None:
    [row] = sample("openinference")
    row["annotations"] = [
        {"name": "correct", "annotator_kind": "HUMAN", "result": {"label": "incorrect"}}
    ]
    assert call(row).scores == (Score("correct", "incorrect", "human"),)


def test_a_data_frame_in_parquet_is_read(tmp_path: Path, store: Store) -> None:
    import polars as pl

    path = tmp_path / "spans.parquet"
    pl.DataFrame([FRAME_ROW, {**FRAME_ROW, "span_kind": "TOOL"}]).write_parquet(path)
    result = import_file(store, None, path)
    assert (result.format, result.read, result.added) == ("openinference", 2, 1)
    [trace] = store.traces(None)
    assert (trace.input, trace.raw) == ("Is a limpet a mollusc?", "Answer: yes")
    assert (trace.provenance.request_id, trace.usage.input, trace.latency_s) == ("sp-1", 20, 1.0)

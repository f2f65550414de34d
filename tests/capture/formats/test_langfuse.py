from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.formats.imported import Imported, Score, Skipped
from limbeck.capture.formats.langfuse import read
from limbeck.capture.importer import import_file
from limbeck.store.store import Store

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]


def call(row: dict[str, Any]) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def test_a_generation_is_a_call_with_its_cost_and_time(sample: Sample) -> None:
    made = call(sample("langfuse")[0])
    assert made.request_id == "obs-1"
    assert made.correlation == "order-7"
    assert made.at == datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
    assert (made.latency_s, made.cost_usd) == (1.5, 0.00003)
    assert made.usage is not None
    assert (made.usage.input, made.usage.cached, made.usage.output) == (20, 4, 9)


def test_blob_storage_writes_snake_case_and_json_in_texts() -> None:
    row = {
        "id": "obs-1",
        "trace_id": "tr-1",
        "type": "GENERATION",
        "start_time": "2026-05-28 20:26:40.000000",
        "end_time": "2026-05-28 20:26:42.000000",
        "provided_model_name": "gpt-5-mini",
        "input": json.dumps({"messages": [{"role": "user", "content": "Is it?"}], "tools": []}),
        "output": json.dumps({"choices": [{"message": {"content": "yes"}}], "model": "m"}),
        "usage_details": {
            "input": 3,
            "output": 5,
            "output_reasoning_tokens": 2,
            "cache_creation_input_tokens": 4,
            "total": 14,
        },
        "cost_details": {},
        "total_cost": 0.002,
        "user_id": "customer-3",
    }
    made = call(row)
    assert (made.call.user, made.reply.text, made.dialect) == ("Is it?", "yes", "openai_chat")
    assert (made.latency_s, made.cost_usd, made.subject) == (2.0, 0.002, "customer-3")
    assert made.usage is not None
    assert (made.usage.input, made.usage.output, made.usage.reasoning) == (7, 7, 2)
    assert made.usage.cache_write_5m == 4


def test_older_exports_count_tokens_in_another_way(sample: Sample) -> None:
    [row, _] = sample("langfuse")
    del row["usageDetails"]
    row["usage"] = {"input": 20, "output": 9, "total": 29, "unit": "TOKENS"}
    usage = call(row).usage
    assert usage is not None
    assert (usage.input, usage.output) == (20, 9)


def test_spans_failures_and_what_was_not_kept_are_skipped(sample: Sample) -> None:
    [row, span] = sample("langfuse")
    assert list(read(span, None)) == [Skipped("not a model call (span)")]
    assert list(read({**row, "level": "ERROR"}, None)) == [Skipped("the call failed")]
    kept = Skipped("the input or the output was not kept")
    assert list(read({**row, "output": None}, None)) == [kept]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("yes", "yes"),
        ({"answer": "yes"}, '{"answer":"yes"}'),
        ([{"role": "assistant", "content": "yes"}], "yes"),
        ([{"type": "text", "text": "yes"}], "yes"),
        ('{"role": "assistant", "content": "yes"}', "yes"),
    ],
)
def test_the_output_has_many_shapes(given: Any, text: str, sample: Sample) -> None:
    assert call({**sample("langfuse")[0], "output": given}).reply.text == text


def test_what_filled_a_template_is_the_question_as_json(sample: Sample) -> None:
    made = call({**sample("langfuse")[0], "input": {"animal": "limpet"}})
    assert made.call.user == '{"animal":"limpet"}'


def test_scores_of_a_row_are_read_with_their_source(sample: Sample) -> None:
    scores = [
        {"name": "correct", "value": 1, "dataType": "BOOLEAN", "source": "ANNOTATION"},
        {"name": "tone", "value": 0.4, "dataType": "NUMERIC", "source": "EVAL"},
    ]
    made = call({**sample("langfuse")[0], "scores": scores})
    assert made.scores == (Score("correct", 1, "human"), Score("tone", 0.4, "verifier"))


def test_a_csv_of_the_page_is_read(tmp_path: Path, store: Store) -> None:
    asked = json.dumps([{"role": "user", "content": 'Is "it", so?'}]).replace('"', '""')
    path = tmp_path / "observations.csv"
    path.write_text(
        "id,traceId,type,startTime,model,input,output,usageDetails\n"
        f'obs-1,tr-1,GENERATION,2026-05-28T20:26:40Z,m,"{asked}",yes,"{{""input"": 3}}"\n'
        "obs-2,tr-1,EVENT,2026-05-28T20:26:41Z,,,,\n",
        encoding="utf-8",
    )
    result = import_file(store, None, path)
    assert (result.format, result.read, result.added) == ("langfuse", 2, 1)
    [trace] = store.traces(None)
    assert (trace.input, trace.raw, trace.usage.input) == ('Is "it", so?', "yes", 3)

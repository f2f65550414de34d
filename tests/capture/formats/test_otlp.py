from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.formats import gen_ai
from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.otlp import read
from limbeck.capture.importer import import_file
from limbeck.capture.jsonl import BadLineError
from limbeck.store.store import Store

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]
Span = Callable[..., dict[str, Any]]


def call(row: dict[str, Any]) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def event(name: str, **attributes: str) -> dict[str, Any]:
    pairs = [
        {"key": key.replace("__", "."), "value": {"stringValue": value}}
        for key, value in attributes.items()
    ]
    return {"name": name, "timeUnixNano": "1", "attributes": pairs}


def test_messages_in_attributes_are_a_call(sample: Sample) -> None:
    made = call(sample("otlp")[0])
    assert (made.call.system, made.call.user) == ("Answer yes or no.", "Is a limpet a mollusc?")
    assert (made.reply.thinking, made.reply.text) == ("It has a foot.", "yes")
    assert made.reply.stop_reason == "end_turn"
    assert (made.request_id, made.generator) == ("chatcmpl-1", "gpt-5-mini")
    assert made.at == datetime.fromtimestamp(1_780_000_000, UTC)
    assert made.latency_s == 1.5
    assert made.usage is not None
    assert (made.usage.input, made.usage.cached, made.usage.output) == (20, 4, 9)


def test_messages_may_be_structured_and_not_in_a_text(span: Span) -> None:
    row = span(
        ("gen_ai.request.model", "m"),
        (
            "gen_ai.input.messages",
            [{"role": "user", "parts": [{"type": "text", "content": "Is it?"}]}],
        ),
        (
            "gen_ai.output.messages",
            [{"role": "assistant", "parts": [{"type": "text", "content": "yes"}]}],
        ),
    )
    made = call(row)
    assert (made.call.user, made.reply.text) == ("Is it?", "yes")
    assert made.request_id == "eee19b7ec3c1b174"


def test_older_spans_number_the_messages(span: Span) -> None:
    row = span(
        ("gen_ai.system", "openai"),
        ("gen_ai.prompt.0.role", "system"),
        ("gen_ai.prompt.0.content", "Be brief."),
        ("gen_ai.prompt.1.role", "user"),
        ("gen_ai.prompt.1.content", "Is it?"),
        ("gen_ai.completion.0.role", "assistant"),
        ("gen_ai.completion.0.content", "yes"),
        ("gen_ai.completion.0.finish_reason", "length"),
        ("gen_ai.usage.prompt_tokens", 12),
        ("gen_ai.usage.completion_tokens", 3),
    )
    made = call(row)
    assert (made.call.system, made.call.user, made.reply.text) == ("Be brief.", "Is it?", "yes")
    assert made.reply.stop_reason == "max_tokens"
    assert made.usage is not None
    assert (made.usage.input, made.usage.output) == (12, 3)


def test_older_spans_tell_each_message_in_an_event(span: Span) -> None:
    row = span(
        ("gen_ai.system", "openai"),
        events=[
            event("gen_ai.system.message", content="Be brief."),
            event("gen_ai.user.message", content="Is it?"),
            event("gen_ai.choice", message='{"content": "yes"}', finish_reason="stop"),
        ],
    )
    made = call(row)
    assert (made.call.system, made.call.user, made.reply.text) == ("Be brief.", "Is it?", "yes")


def test_the_oldest_spans_have_prompt_and_completion_in_two_events(span: Span) -> None:
    asked = json.dumps([{"role": "user", "content": "Is it?"}])
    answered = json.dumps([{"role": "assistant", "content": "yes"}])
    row = span(
        ("gen_ai.system", "openai"),
        events=[
            event("gen_ai.content.prompt", gen_ai__prompt=asked),
            event("gen_ai.content.completion", gen_ai__completion=answered),
        ],
    )
    made = call(row)
    assert (made.call.user, made.reply.text) == ("Is it?", "yes")


def test_an_event_of_the_log_is_a_call_too(sample: Sample) -> None:
    [row] = sample("otlp")
    span = row["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    record = {
        "timeUnixNano": "1780000000000000000",
        "eventName": gen_ai.EVENT_DETAILS,
        "attributes": span["attributes"],
    }
    other = {"timeUnixNano": "1", "body": {"stringValue": "started"}}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, other]}]}]}
    [made, skipped] = read(logs, None)
    assert isinstance(made, Imported)
    assert made.call.user == "Is a limpet a mollusc?"
    assert skipped == Skipped("not a model call (log record)")


def test_other_spans_and_failures_are_skipped(span: Span) -> None:
    assert list(read(span(("http.request.method", "GET"), name="GET /"), None)) == [
        Skipped("not a model call (GET /)")
    ]
    tool = span(("gen_ai.operation.name", "execute_tool"))
    assert list(read(tool, None)) == [Skipped("not a model call (execute_tool)")]
    failed = span(("gen_ai.operation.name", "chat"), status={"code": 2})
    assert list(read(failed, None)) == [Skipped("the call failed")]
    bare = span(("gen_ai.operation.name", "chat"))
    assert list(read(bare, None)) == [Skipped("the messages were not kept")]


def test_a_row_of_another_shape_names_its_keys() -> None:
    with pytest.raises(BadLineError, match="wanted resourceSpans or resourceLogs"):
        list(read({"spans": []}, None))


def test_one_document_over_many_lines_is_read(tmp_path: Path, store: Store, sample: Sample) -> None:
    [row] = sample("otlp")
    path = tmp_path / "traces.json"
    path.write_text(json.dumps({"resourceSpans": row["resourceSpans"] * 3}, indent=2))
    result = import_file(store, None, path)
    assert (result.format, result.read, result.added, result.already) == ("otlp", 3, 1, 2)


def test_all_names_of_the_conventions_begin_alike() -> None:
    names = [
        value for key, value in vars(gen_ai).items() if key.isupper() and isinstance(value, str)
    ]
    assert len(names) > 20
    assert [name for name in names if not name.startswith(gen_ai.PREFIX)] == []

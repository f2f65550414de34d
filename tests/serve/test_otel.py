"""Spans of calls, taken in memory; and what happens to calls whose spans nobody takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve.gateway import Gateway
from limbeck.serve.otel import Spans, open_spans
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.types import Provenance, Task, Trace, Usage

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-2] + "00"


def a_trace(**more: Any) -> Trace:
    origin = Provenance(
        source="gateway", generator="claude-x-1", dialect="anthropic", request_id="req_1"
    )
    return Trace(
        **{
            "task": "refunds",
            "input": "A pan.",
            "raw": "Answer: grant",
            "thinking": "It is torn.",
            "provenance": origin,
            "usage": Usage(input=100, output=20, cached=60, cache_write_1h=5, reasoning=7),
            "cost_usd": 0.25,
            "latency_s": 1.5,
            "created_at": datetime(2026, 1, 2, tzinfo=UTC),
            **more,
        }
    )


def spans_of(trace: Trace, *, content: bool = False, **parent: str) -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    spans = Spans(SimpleSpanProcessor(memory), content=content)
    spans.saw(trace, "claude-x", "anthropic", parent)
    found = list(memory.get_finished_spans())
    spans.close()
    return found


def test_a_span_says_what_the_conventions_say() -> None:
    [span] = spans_of(a_trace(stop_reason="end_turn"))
    assert span.name == "chat claude-x"
    assert span.kind is SpanKind.CLIENT
    assert span.start_time is not None
    assert span.end_time == span.start_time + 1_500_000_000
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-x",
        "gen_ai.response.model": "claude-x-1",
        "gen_ai.response.finish_reasons": ("end_turn",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_creation.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 7,
        "limbeck.task": "refunds",
        "limbeck.trace_id": a_trace(stop_reason="end_turn").id,
        "limbeck.request_id": "req_1",
        "limbeck.answered_by": "teacher",
        "limbeck.cost_usd": 0.25,
    }
    assert span.resource.attributes["service.name"] == "limbeck"


def test_a_call_that_failed_is_a_span_that_failed() -> None:
    [span] = spans_of(a_trace(status="error", stop_reason="http_529", usage=Usage()))
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "http_529"
    assert "gen_ai.usage.input_tokens" not in dict(span.attributes or {})


def test_what_was_said_is_sent_only_where_it_is_asked_for() -> None:
    [silent] = spans_of(a_trace())
    assert not any("A pan" in str(value) for value in (silent.attributes or {}).values())
    [span] = spans_of(a_trace(), content=True)
    found = dict(span.attributes or {})
    assert json.loads(str(found["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "A pan."}]}
    ]
    [said] = json.loads(str(found["gen_ai.output.messages"]))
    assert [part["type"] for part in said["parts"]] == ["reasoning", "text"]


def test_a_trace_of_the_client_goes_on() -> None:
    [span] = spans_of(a_trace(), traceparent=PARENT, tracestate="vendor=1")
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == PARENT.split("-")[2]
    assert span.context is not None
    assert format(span.context.trace_id, "032x") == PARENT.split("-")[1]
    assert span.context.trace_state.get("vendor") == "1"


def test_a_client_that_does_not_sample_is_believed_and_nonsense_is_not() -> None:
    assert spans_of(a_trace(), traceparent=UNSAMPLED) == []
    [span] = spans_of(a_trace(), traceparent="00-nonsense")
    assert span.parent is None


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({"otel_endpoint": "http://127.0.0.1:9"}, "http://127.0.0.1:9/v1/traces"),
        ({"otel_endpoint": "http://127.0.0.1:9/v1/traces"}, "http://127.0.0.1:9/v1/traces"),
        ({"otel": True}, "http://127.0.0.1:7/v1/traces"),
    ],
)
def test_spans_go_where_the_settings_or_the_environment_say(
    settings: dict[str, Any], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:7")
    spans = open_spans(GatewaySettings(**settings))
    assert spans is not None
    [processor] = spans._provider._active_span_processor._span_processors
    exporter: Any = processor.span_exporter  # type: ignore[attr-defined]
    assert exporter._endpoint == endpoint
    spans.close()


def test_nothing_is_sent_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:7")
    assert open_spans(GatewaySettings()) is None
    with pytest.raises(ValueError, match="otel_endpoint"):
        GatewaySettings(otel_endpoint="http://user:secret@127.0.0.1:7")


class Failing(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        raise ConnectionError("there is no collector")


def answer_one_call(
    exporter: SpanExporter, provider: Any, store: Store, task: Task, whole: Callable[..., Any]
) -> Any:
    """What the client gets and what the gateway counts, of one call whose spans go to `exporter`."""
    reply = Reply(text="Answer: grant", stop_reason="end_turn", usage=Usage(input=9), model="m")
    provider.replies = [whole(json.dumps(dialect("anthropic").write_reply(reply)).encode())]
    upstreams = {"anthropic": {"base_url": provider.url}}
    settings = GatewaySettings.model_validate({"upstreams": upstreams})
    app = Gateway(
        Setup.of(settings, {task.name: task}), store, spans=Spans(SimpleSpanProcessor(exporter))
    )
    headers = {"traceparent": PARENT, "tracestate": "vendor=1", "connection": "close"}
    body = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}
    with running_in_thread(app) as url, urllib3.PoolManager(retries=False) as pool:
        found = pool.request("POST", f"{url}/t/refunds/v1/messages", json=body, headers=headers)
    return found, app.counts


def test_a_gateway_makes_a_span_of_a_call_and_passes_its_parent_on(
    provider: Any, store: Store, task: Task, whole: Callable[..., Any]
) -> None:
    memory = InMemorySpanExporter()
    found, _ = answer_one_call(memory, provider, store, task, whole)
    assert found.status == 200
    [span] = memory.get_finished_spans()
    assert span.name == "chat asked"
    assert dict(span.attributes or {})["limbeck.trace_id"] == found.headers["x-limbeck-trace-id"]
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == PARENT.split("-")[2]
    head = provider.requests[0][0]
    assert f"traceparent: {PARENT}".encode() in head
    assert b"tracestate: vendor=1" in head


def test_a_span_that_cannot_be_made_fails_no_call(
    provider: Any,
    store: Store,
    task: Task,
    whole: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def saw(*args: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Spans, "saw", saw)
    found, counts = answer_one_call(Failing(), provider, store, task, whole)
    assert found.status == 200
    assert (counts.recorded, counts.watching_errors) == (1, 1)


def test_a_collector_that_is_not_there_fails_no_call(
    provider: Any, store: Store, task: Task, whole: Callable[..., Any]
) -> None:
    found, counts = answer_one_call(Failing(), provider, store, task, whole)
    assert found.status == 200
    assert counts.recorded == 1

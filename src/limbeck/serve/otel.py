"""A span for each call, by OpenTelemetry's conventions for generative AI.

Off unless the settings say so. Spans wait in a queue of bounded length for a thread that sends them in
batches; one that does not fit is dropped. The content of calls stays here unless `otel_content` is set.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limbeck import __version__
from limbeck.capture.formats import gen_ai
from limbeck.errors import MissingExtraError
from limbeck.serve.settings import GatewaySettings
from limbeck.types import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

QUEUED = 4096
"""Spans that wait to be sent."""
CLOSE_S = 5.0
"""Seconds for sending what waits at the end."""
PATH = "/v1/traces"

Attributes = dict[str, str | bool | int | float | tuple[str, ...]]


class Spans:
    """Makes spans of calls that are over. `processor` takes them."""

    def __init__(self, processor: SpanProcessor, *, content: bool = False) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # A name in OTEL_SERVICE_NAME stands above ours.
        named = Resource({"service.name": "limbeck", "service.version": __version__})
        provider = TracerProvider(resource=named.merge(_environment()), shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self._provider = provider
        self._tracer = provider.get_tracer("limbeck.gateway", __version__)
        self._context = TraceContextTextMapPropagator()
        self._content = content

    def saw(
        self, trace: Trace, asked: str, provider: str | None, parent: Mapping[str, str] | None
    ) -> None:
        """A span for `trace`, which `asked` the model of that name.

        `parent` holds the `traceparent` and `tracestate` that the client sent, if it did.
        """
        from opentelemetry.trace import SpanKind, StatusCode

        if trace.created_at is None:
            return
        begun = round(trace.created_at.timestamp() * 1e9)
        span = self._tracer.start_span(
            f"chat {asked}".rstrip(),
            context=self._context.extract(parent) if parent else None,
            kind=SpanKind.CLIENT,
            attributes=attributes(trace, asked, provider),
            start_time=begun,
        )
        if self._content and span.is_recording():
            span.set_attributes(content(trace))
        if trace.status == "error":
            span.set_status(StatusCode.ERROR)
        span.end(begun + round((trace.latency_s or 0.0) * 1e9))

    def close(self) -> None:
        """Send what waits, for `CLOSE_S` seconds at most."""
        # A daemon: a collector that does not answer must not keep the process.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_S)


def open_spans(settings: GatewaySettings) -> Spans | None:
    """What sends spans where the settings say so; None where they do not.

    Headers, time limits and certificates come from the environment variables of OpenTelemetry, as does
    the address where `otel_endpoint` is not set. Raises MissingExtraError.
    """
    if not (settings.otel or settings.otel_endpoint):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "opentelemetry", "otel") from None
    exporter = OTLPSpanExporter(endpoint=_traces(settings.otel_endpoint))
    batches = BatchSpanProcessor(exporter, max_queue_size=QUEUED)
    return Spans(batches, content=settings.otel_content)


def attributes(trace: Trace, asked: str, provider: str | None) -> Attributes:
    """What the conventions say of a call, and what Limbeck adds under its own name."""
    origin, usage = trace.provenance, trace.usage
    found: dict[str, str | int | float | tuple[str, ...] | None] = {
        gen_ai.OPERATION: "chat",
        gen_ai.PROVIDER: provider or (origin.dialect or "unknown").partition("_")[0],
        gen_ai.REQUEST_MODEL: asked,
        gen_ai.RESPONSE_MODEL: origin.generator,
        gen_ai.FINISH_REASONS: (trace.stop_reason,) if trace.stop_reason else None,
        "error.type": (trace.stop_reason or "error") if trace.status == "error" else None,
        "limbeck.task": trace.task,
        "limbeck.trace_id": trace.id,
        "limbeck.request_id": origin.request_id,
        "limbeck.answered_by": "student" if origin.source == "student" else "teacher",
        "limbeck.cost_usd": trace.cost_usd,
    }
    if usage.input or usage.output:
        found |= {
            gen_ai.INPUT_TOKENS: usage.input,
            gen_ai.OUTPUT_TOKENS: usage.output,
            gen_ai.CACHE_READ_TOKENS: usage.cached,
            gen_ai.CACHE_WRITE_TOKENS: usage.cache_write_5m + usage.cache_write_1h,
            gen_ai.REASONING_TOKENS: usage.reasoning,
        }
    return {name: value for name, value in found.items() if value is not None}


def content(trace: Trace) -> Attributes:
    """What was asked and said, as it is stored: what redaction took out is not in it."""
    found: Attributes = {gen_ai.INPUT_MESSAGES: _message("user", _part("text", trace.input))}
    said = [_part("reasoning", trace.thinking)] if trace.thinking else []
    if trace.raw:
        said.append(_part("text", trace.raw))
    if said:
        found[gen_ai.OUTPUT_MESSAGES] = _message("assistant", *said)
    return found


def _message(role: str, *parts: dict[str, str]) -> str:
    return json.dumps([{"role": role, "parts": parts}])


def _part(kind: str, text: str) -> dict[str, str]:
    return {"type": kind, "content": text}


def _traces(endpoint: str | None) -> str | None:
    """The full address: where only a collector is named, its path for traces is added."""
    if endpoint is None or endpoint.endswith(PATH):
        return endpoint
    return endpoint.rstrip("/") + PATH


def _environment() -> Any:
    from opentelemetry.sdk.resources import OTELResourceDetector

    return OTELResourceDetector().detect()

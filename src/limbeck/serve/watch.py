"""Who sees a call that is over: the metrics always, the log and the spans where they are asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from limbeck.serve.counts import Counts
from limbeck.serve.http.message import Request
from limbeck.serve.metrics import Metrics
from limbeck.serve.otel import Spans
from limbeck.serve.settings import GatewaySettings
from limbeck.types import Trace

log = logging.getLogger("limbeck.gateway")

CONTEXT = frozenset({b"traceparent", b"tracestate"})
"""The headers of W3C Trace Context; they also go to the teacher, as all headers do."""


@dataclass(slots=True)
class Sight:
    """What is seen of a call besides its trace. `model` is the one that was asked for, `provider` whose
    it is, and `parent` the trace context that the client sent."""

    model: str
    provider: str | None
    parent: Mapping[str, str] | None = None
    first_byte_s: float | None = None


class Watch:
    """Told of each call when it is over, whether or not its trace could be kept."""

    def __init__(
        self, settings: GatewaySettings, metrics: Metrics, counts: Counts, spans: Spans | None
    ) -> None:
        self.metrics = metrics
        self._counts = counts
        self._spans = spans
        self.settings = settings
        """Replaced when the configuration changes."""

    def begin(self, request: Request, model: str, provider: str | None) -> Sight:
        """What is seen of a call when it comes in."""
        if self._spans is None:
            return Sight(model, provider)
        found = {
            name.lower().decode(): value.decode("latin-1")
            for name, value in request.headers
            if name.lower() in CONTEXT
        }
        return Sight(model, provider, found)

    def saw(self, trace: Trace, kept: bool, sight: Sight) -> None:
        """Count the call, and tell of it. Raises nothing."""
        settings = self.settings
        try:
            self.metrics.saw(trace, sight.first_byte_s)
            if settings.log == "calls":
                log.info("a call", extra={"event": "call", **line(trace, kept)})
            if trace.latency_s is not None and trace.latency_s > settings.slow_s:
                log.warning("a slow call", extra={"event": "slow_call", **line(trace, kept)})
            if self._spans is not None:
                self._spans.saw(trace, sight.model, sight.provider, sight.parent)
        except Exception as error:  # noqa: BLE001 - watching never fails a call
            self._counts.watching_errors += 1
            fields = {"event": "watching_failed", "error": type(error).__name__}
            log.error("a call could not be counted", extra=fields)


def line(trace: Trace, kept: bool) -> dict[str, str | int | float | bool | None]:
    """What the log says of a call: what it was, never what was said in it. Times in milliseconds."""
    usage, origin = trace.usage, trace.provenance
    return {
        "trace": trace.id,
        "kept": kept,
        "request_id": origin.request_id,
        "task": trace.task,
        "model": origin.generator,
        "answered_by": "student" if origin.source == "student" else "teacher",
        "status": trace.status,
        "stop_reason": trace.stop_reason,
        "latency_ms": None if trace.latency_s is None else round(trace.latency_s * 1e3, 1),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cached_tokens": usage.cached,
        "cost_usd": trace.cost_usd,
    }

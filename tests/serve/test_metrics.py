from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from limbeck.errors import StoreError
from limbeck.serve.metrics import (
    LATENCY_S,
    MODELS,
    OTHER,
    UNPROVEN,
    Histogram,
    Key,
    MeasuredSink,
    Metrics,
)
from limbeck.types import Elicited, Provenance, Status, Trace, Usage


def a_trace(model: str = "m", status: Status = "ok", source: Any = "gateway", **more: Any) -> Trace:
    origin = Provenance(source=source, generator=model)
    return Trace(
        **{"task": "refunds", "input": "q", **more, "status": status, "provenance": origin}
    )


def test_calls_are_counted_by_task_model_who_answered_and_status() -> None:
    metrics = Metrics()
    usage = Usage(input=100, output=20, cached=60, cache_write_5m=10, cache_write_1h=5, reasoning=7)
    for trace in (
        a_trace(usage=usage, cost_usd=0.25),
        a_trace(usage=usage, cost_usd=0.5),
        a_trace(status="error"),
        a_trace(task=None, usage=usage),
        a_trace(source="student", cost_usd=0.0),
    ):
        metrics.saw(trace)
    found = {key: one.calls for key, one in metrics.calls.items()}
    assert found == {
        Key("refunds", "m", "teacher", "ok"): 2,
        Key("refunds", "m", "teacher", "error"): 1,
        Key("", "m", "teacher", "ok"): 1,
        Key("refunds", "m", "student", "ok"): 1,
    }
    series = metrics.calls[Key("refunds", "m", "teacher", "ok")]
    assert (series.input, series.output, series.cached, series.reasoning) == (200, 40, 120, 14)
    assert (series.cache_write_5m, series.cache_write_1h) == (20, 10)
    assert series.cost_usd == pytest.approx(0.75)


def test_only_a_call_that_used_tokens_lacks_a_price() -> None:
    metrics = Metrics()
    metrics.saw(a_trace(usage=Usage(input=1)))
    metrics.saw(a_trace(status="error"))
    unpriced = {key.status: one.unpriced for key, one in metrics.calls.items()}
    assert unpriced == {"ok": 1, "error": 0}


def test_rationales_that_were_asked_for_and_what_was_taken_out_are_counted() -> None:
    metrics = Metrics()
    elicited = Elicited(how="inline", extra_input=30, extra_output=90)
    metrics.saw(a_trace(elicited=elicited, redacted={"email": 2, "iban": 1}))
    metrics.saw(a_trace(elicited=elicited, redacted={"email": 1}))
    found = metrics.elicited["refunds"]
    assert (found.calls, found.extra_input, found.extra_output) == (2, 60, 180)
    assert metrics.redacted == {"email": 3, "iban": 1}


def test_latencies_are_in_the_bucket_of_the_smallest_bound_that_holds_them() -> None:
    metrics = Metrics()
    for latency in (0.005, 0.006, 1000.0):
        metrics.saw(a_trace(latency_s=latency), first_byte_s=0.001)
    found = metrics.latency_s["refunds", "teacher"]
    assert (found.buckets[0], found.buckets[1], found.buckets[-1]) == (1, 1, 1)
    assert found.total == pytest.approx(1000.011)
    assert metrics.first_byte_s["refunds"].buckets[0] == 3
    assert len(found.buckets) == len(LATENCY_S) + 1


def test_a_client_that_invents_names_of_models_does_not_fill_the_memory() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.saw(a_trace(f"invented-{number}", status="error"))
    assert len({key.model for key in metrics.calls}) == UNPROVEN + 1
    # Names that answered have more room, and are not pushed out by those that did not.
    for number in range(1000):
        metrics.saw(a_trace(f"real-{number}"))
    assert len({key.model for key in metrics.calls if key.status == "ok"}) == MODELS - UNPROVEN + 1
    metrics.saw(a_trace("x" * 10_000))
    assert max(len(key.model) for key in metrics.calls) < 50
    assert sum(one.calls for one in metrics.calls.values()) == 2001
    assert metrics.calls[Key("refunds", OTHER, "teacher", "error")].calls == 1000 - UNPROVEN
    assert len(metrics._series) <= 2 * MODELS


class Sink:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes] | None = None) -> None:
        if self.fails:
            raise StoreError("the disk is full")


def test_a_transaction_is_measured_and_its_failure_is_passed_on() -> None:
    metrics = Metrics()
    MeasuredSink(Sink(), metrics).append([a_trace()] * 3)
    with pytest.raises(StoreError, match="full"):
        MeasuredSink(Sink(fails=True), metrics).append([a_trace()])
    assert metrics.commit_traces.total == 3
    assert sum(metrics.commit_s.buckets) == 1
    assert metrics.commits_failed == 1


@pytest.mark.parametrize(("value", "bucket"), [(0.0, 0), (1.0, 0), (1.1, 1), (2.0, 1), (2.1, 2)])
def test_a_bound_belongs_to_its_bucket(value: float, bucket: int) -> None:
    found = Histogram((1.0, 2.0))
    found.saw(value)
    assert found.buckets[bucket] == 1

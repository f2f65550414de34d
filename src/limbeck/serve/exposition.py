"""`GET /limbeck/metrics`: the numbers of a gateway as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from limbeck import __version__
from limbeck.serve.counts import Counts
from limbeck.serve.metrics import Elicitation, Histogram, Key, Metrics, Series

Pairs = Iterable[tuple[list[str], float]]


@dataclass(frozen=True)
class Levels:
    """What stands at a height at the moment of asking."""

    connections: int
    busy: int
    waiting: int
    stale: bool
    failed: int


def expose(metrics: Metrics, counts: Counts, levels: Levels, accept: str) -> tuple[bytes, str]:
    """The page and its content type, in the format that the header `accept` asks for."""
    registry = CollectorRegistry()
    registry.register(_Numbers(metrics, counts, levels))
    ProcessCollector(registry=registry)
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Numbers(Collector):
    def __init__(self, metrics: Metrics, counts: Counts, levels: Levels) -> None:
        self._metrics = metrics
        self._counts = counts
        self._levels = levels

    def describe(self) -> list[Metric]:
        return []  # Else registering would collect once for nothing.

    def collect(self) -> Iterator[Metric]:
        # Copies of the tables: the loop goes on counting while a thread writes the page.
        yield InfoMetricFamily("limbeck", "The version of Limbeck.", value={"version": __version__})
        started = self._metrics.started_at
        yield GaugeMetricFamily("limbeck_start_time_seconds", "Unix time of the start.", started)
        yield from _calls(dict(self._metrics.calls))
        yield from _tokens(dict(self._metrics.calls))
        yield from _elicited(dict(self._metrics.elicited))
        yield _histograms(
            "limbeck_call_seconds",
            "From the request to the end of the reply.",
            ["task", "answered_by"],
            [(list(key), one) for key, one in list(self._metrics.latency_s.items())],
        )
        yield _histograms(
            "limbeck_first_byte_seconds",
            "From the request to the first byte of a streamed reply.",
            ["task"],
            [([task], one) for task, one in list(self._metrics.first_byte_s.items())],
        )
        yield from self._store()
        yield from self._teachers()
        yield from self._clients()
        yield from self._own()

    def _store(self) -> Iterator[Metric]:
        metrics, counts = self._metrics, self._counts
        yield _counter("limbeck_traces_recorded", "Traces on disk.", counts.recorded)
        yield _counter("limbeck_traces_spooled", "Traces that went to the spool.", counts.spooled)
        yield _counter(
            "limbeck_traces_absorbed", "Brought from the spool to the store.", counts.absorbed
        )
        yield _counter("limbeck_traces_lost", "Traces that are nowhere.", counts.unrecorded)
        yield _counter(
            "limbeck_spool_damaged_lines",
            "Lines of the spool that are set aside.",
            counts.spool_damaged,
        )
        yield _gauge("limbeck_writer_waiting", "Traces that wait.", self._levels.waiting)
        yield _histograms(
            "limbeck_commit_seconds",
            "Time of a transaction of the store.",
            [],
            [([], metrics.commit_s)],
        )
        yield _histograms(
            "limbeck_commit_traces", "Traces in a transaction.", [], [([], metrics.commit_traces)]
        )
        yield _counter(
            "limbeck_commits_failed", "Transactions that failed.", metrics.commits_failed
        )
        yield _by_kind("limbeck_redactions", "What was taken out before storage.", metrics.redacted)

    def _teachers(self) -> Iterator[Metric]:
        counts = self._counts
        yield _by_kind(
            "limbeck_upstream_failures", "Teachers that did not answer.", counts.failures_by_kind
        )
        yield _by_kind(
            "limbeck_upstream_refusals",
            "Teachers that answered with an error.",
            counts.refusals_by_status,
            "code",
        )
        yield _counter(
            "limbeck_elicit_refused",
            "Calls asked again as they came, without asking for a rationale.",
            counts.elicit_refused,
        )
        yield _counter("limbeck_unread", "Calls and replies that could not be read.", counts.unread)
        yield _counter("limbeck_student_failures", "Students that failed.", counts.student_failures)
        yield _counter(
            "limbeck_student_skipped",
            "Calls for which a student that failed or was late was not waited for.",
            counts.student_skipped,
        )
        yield _counter(
            "limbeck_answered_in_need",
            "Answers of students that went out because the teacher was down.",
            counts.answered_in_need,
        )
        yield _counter(
            "limbeck_audits", "Local answers that the teacher has checked.", counts.audited
        )
        yield _counter(
            "limbeck_audits_open", "Audits that the teacher could not settle.", counts.audits_open
        )
        yield _counter("limbeck_reply_bytes", "Bytes of the replies of teachers.", counts.bytes_out)

    def _clients(self) -> Iterator[Metric]:
        counts, levels = self._counts, self._levels
        yield _by_kind(
            "limbeck_clients_refused", "Requests that were not taken.", counts.refused_by_kind
        )
        yield _counter("limbeck_clients_gone", "Clients that went away.", counts.clients_gone)
        yield _counter("limbeck_passed", "Requests passed on unrecorded.", counts.passed)
        yield _counter(
            "limbeck_request_bytes", "Bytes of the requests of clients.", counts.bytes_in
        )
        yield _gauge("limbeck_open_connections", "Connections of clients.", levels.connections)
        yield _gauge(
            "limbeck_busy_connections", "Connections with a request under way.", levels.busy
        )
        yield _gauge("limbeck_open_streams", "Streams on their way.", counts.open_streams)

    def _own(self) -> Iterator[Metric]:
        counts = self._counts
        yield _counter(
            "limbeck_configuration_errors",
            "Changes of the configuration that could not be used.",
            counts.configuration_errors,
        )
        yield _gauge(
            "limbeck_configuration_stale",
            "1 while the files as they are cannot be used.",
            int(self._levels.stale),
        )
        yield _counter(
            "limbeck_gateway_errors",
            "Calls that failed in the gateway itself.",
            self._levels.failed,
        )
        yield _counter(
            "limbeck_watching_errors", "Calls that could not be counted.", counts.watching_errors
        )


def _calls(calls: Mapping[Key, Series]) -> Iterator[Metric]:
    labels = list(Key._fields)
    yield _labelled(
        "limbeck_calls",
        "Calls that are over.",
        labels,
        (([*key], one.calls) for key, one in calls.items()),
    )
    yield _labelled(
        "limbeck_cost_usd",
        "What calls cost.",
        labels,
        (([*key], one.cost_usd) for key, one in calls.items()),
    )
    yield _labelled(
        "limbeck_unpriced_calls",
        "Calls that used tokens whose price nobody knows.",
        labels,
        (([*key], one.unpriced) for key, one in calls.items()),
    )


def _tokens(calls: Mapping[Key, Series]) -> Iterator[Metric]:
    """Kinds that do not overlap: their sum is what went over the wire."""
    tokens: dict[tuple[str, str, str], int] = {}
    for key, one in calls.items():
        written = one.cache_write_5m + one.cache_write_1h
        for kind, number in {
            "input": max(one.input - one.cached - written, 0),
            "cached": one.cached,
            "cache_write_5m": one.cache_write_5m,
            "cache_write_1h": one.cache_write_1h,
            "output": max(one.output - one.reasoning, 0),
            "reasoning": one.reasoning,
        }.items():
            name = (key.task, key.model, kind)
            tokens[name] = tokens.get(name, 0) + number
    yield _labelled(
        "limbeck_tokens",
        "Tokens as the provider counted them; the kinds do not overlap.",
        ["task", "model", "kind"],
        (([*name], number) for name, number in tokens.items()),
    )


def _elicited(elicited: Mapping[str, Elicitation]) -> Iterator[Metric]:
    yield _labelled(
        "limbeck_elicited_calls",
        "Calls in which a rationale was asked for.",
        ["task"],
        (([task], one.calls) for task, one in elicited.items()),
    )
    yield _labelled(
        "limbeck_elicited_tokens",
        "What that cost besides, estimated; it is part of limbeck_tokens.",
        ["task", "kind"],
        (
            ([task, kind], number)
            for task, one in elicited.items()
            for kind, number in (("input", one.extra_input), ("output", one.extra_output))
        ),
    )


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(name, what, value=value)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _by_kind(name: str, what: str, found: Mapping[str, int], label: str = "kind") -> Metric:
    return _labelled(name, what, [label], (([kind], n) for kind, n in dict(found).items()))


def _labelled(name: str, what: str, labels: list[str], pairs: Pairs) -> Metric:
    family = CounterMetricFamily(name, what, labels=labels)
    for values, number in pairs:
        family.add_metric(values, number)
    return family


def _histograms(
    name: str, what: str, labels: list[str], found: Iterable[tuple[list[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, what, labels=labels)
    for values, one in found:
        seen = 0
        cumulative = []
        for bound, number in zip((*one.bounds, float("inf")), list(one.buckets), strict=True):
            seen += number
            cumulative.append((_bound(bound), float(seen)))
        family.add_metric(values, cumulative, one.total)
    return family


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(float(bound))

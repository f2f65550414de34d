"""What a gateway measures: plain numbers, counted in passing and read when somebody asks.

Nothing here knows how they are shown; `limbeck.serve.exposition` writes them for Prometheus. Each number
is written by one thread only, so that none needs a lock.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from limbeck.store.writer import NO_BLOBS, TraceSink
from limbeck.types import Status, Trace

LATENCY_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5),
    *(2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0),
)
"""Upper bounds of the buckets of latencies, in seconds."""
COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
COMMIT_TRACES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
MODELS = 100
"""Models with numbers of their own; all further ones share the name `other`."""
UNPROVEN = 20
"""Of these, how many may be names for which no model answered: such a name is a client's to choose."""
LONGEST_NAME = 128
OTHER = "other"
NO_TASK = ""


class Histogram:
    """Counts by size. `buckets[n]` counts what is at most `bounds[n]` and above the one before it; the
    last bucket has no bound."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def saw(self, value: float) -> None:
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value


class Series:
    """The calls of one task that one model answered in one way. Tokens are as in `Usage`."""

    __slots__ = (
        "cache_write_1h",
        "cache_write_5m",
        "cached",
        "calls",
        "cost_usd",
        "input",
        "output",
        "reasoning",
        "unpriced",
    )

    def __init__(self) -> None:
        self.calls = 0
        self.input = 0
        self.output = 0
        self.cached = 0
        self.cache_write_5m = 0
        self.cache_write_1h = 0
        self.reasoning = 0
        self.cost_usd = 0.0
        self.unpriced = 0


class Elicitation:
    """What asking for rationales cost in one task: estimated tokens."""

    __slots__ = ("calls", "extra_input", "extra_output")

    def __init__(self) -> None:
        self.calls = 0
        self.extra_input = 0
        self.extra_output = 0


class Key(NamedTuple):
    """What the calls of a series have in common. `task` is empty for calls of no task."""

    task: str
    model: str
    answered_by: str
    status: Status


class Metrics:
    """The numbers of one gateway since its start."""

    def __init__(self) -> None:
        self.started_at = time.time()
        self.calls: dict[Key, Series] = {}
        self.latency_s: dict[tuple[str, str], Histogram] = {}
        """By task and by who answered."""
        self.first_byte_s: dict[str, Histogram] = {}
        """Of streams, by task."""
        self.elicited: dict[str, Elicitation] = {}
        self.redacted: dict[str, int] = {}
        self.commit_s = Histogram(COMMIT_S)
        self.commit_traces = Histogram(COMMIT_TRACES)
        self.commits_failed = 0
        self._series: dict[tuple[str | None, str, str, Status], Series] = {}
        self._models: set[str] = set()

    def saw(self, trace: Trace, first_byte_s: float | None = None) -> None:
        """Count a call that is over."""
        origin = trace.provenance
        wanted = (trace.task, origin.generator, origin.source, trace.status)
        series = self._series.get(wanted)
        if series is None:
            series = self._begin(wanted)
        series.calls += 1
        usage = trace.usage
        series.input += usage.input
        series.output += usage.output
        if usage.cached or usage.cache_write_5m or usage.cache_write_1h:
            series.cached += usage.cached
            series.cache_write_5m += usage.cache_write_5m
            series.cache_write_1h += usage.cache_write_1h
        series.reasoning += usage.reasoning
        if trace.cost_usd is not None:
            series.cost_usd += trace.cost_usd
        elif usage.input or usage.output:
            series.unpriced += 1
        task = trace.task or NO_TASK
        if trace.latency_s is not None:
            self.latency_s[task, _who(origin.source)].saw(trace.latency_s)
        if first_byte_s is not None:
            self.first_byte_s[task].saw(first_byte_s)
        if trace.elicited is not None or trace.redacted:
            self._saw_changes(trace, task)

    def _saw_changes(self, trace: Trace, task: str) -> None:
        """Count what the gateway asked for besides, and what it took out."""
        if trace.elicited is not None:
            found = self.elicited.setdefault(task, Elicitation())
            found.calls += 1
            found.extra_input += trace.elicited.extra_input
            found.extra_output += trace.elicited.extra_output
        for kind, number in trace.redacted.items():
            self.redacted[kind] = self.redacted.get(kind, 0) + number

    def committed(self, traces: int, seconds: float) -> None:
        """Count a transaction of the store; called in the writer's thread."""
        self.commit_traces.saw(traces)
        self.commit_s.saw(seconds)

    def _begin(self, wanted: tuple[str | None, str, str, Status]) -> Series:
        task, model, source, status = wanted
        who = _who(source)
        key = Key(task or NO_TASK, self._name(model, status), who, status)
        self.latency_s.setdefault((key.task, who), Histogram(LATENCY_S))
        self.first_byte_s.setdefault(key.task, Histogram(LATENCY_S))
        series = self.calls.setdefault(key, Series())
        # Names beyond the bound are looked up anew each time: they must not fill the memory.
        if key.model != OTHER:
            self._series[wanted] = series
        return series

    def _name(self, model: str, status: Status) -> str:
        if model in self._models:
            return model
        most = UNPROVEN if status == "error" else MODELS
        if len(self._models) >= most or len(model) > LONGEST_NAME:
            return OTHER
        self._models.add(model)
        return model


def _who(source: str) -> str:
    return "student" if source == "student" else "teacher"


class MeasuredSink:
    """A store whose transactions are counted."""

    def __init__(self, store: TraceSink, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes] = NO_BLOBS) -> None:
        """Raises what the store raises."""
        begun = time.perf_counter()
        try:
            self._store.append(traces, blobs)
        except Exception:
            self._metrics.commits_failed += 1
            raise
        self._metrics.committed(len(traces), time.perf_counter() - begun)

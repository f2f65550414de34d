"""What a running gateway does now: two readings of its numbers, and what happened between them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from limbeck.errors import LimbeckError
from limbeck.serve.keys import HEADER
from limbeck.types import Noun

TIMEOUT_S = 5.0
ERRORS = ("last_store_error", "last_teacher_error", "last_student_error")

Buckets = Mapping[float, float]
"""Cumulative counts by upper bound."""


class TaskNow(Noun):
    """One task. Rates are a second, and None before there are two readings; `cost_usd` is since the
    start. `p50_s` and `p95_s` are None where no call ended."""

    task: str | None
    calls: int
    calls_s: float | None = None
    errors_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    tokens_s: float | None = None
    cost_usd: float = 0.0
    cost_usd_h: float | None = None
    unpriced: int = 0
    """Calls since the start that used tokens whose price nobody knows."""


class Now(Noun):
    """A gateway at one moment; `total` is of all tasks together. `spooled` traces wait for the store and
    `lost` ones are nowhere."""

    status: str
    version: str
    up_s: float
    total: TaskNow
    tasks: tuple[TaskNow, ...] = ()
    open_streams: int = 0
    connections: int = 0
    waiting_for_disk: int = 0
    spooled: int = 0
    lost: int = 0
    last_error: str | None = None


@dataclass(frozen=True)
class Reading:
    """The numbers of one moment, by name and labels."""

    at: float
    numbers: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]
    health: Mapping[str, Any]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all numbers of that name that have these labels."""
        wanted = set(labels.items())
        return sum(value for key, value in self.numbers.get(name, {}).items() if wanted <= set(key))

    def buckets(self, name: str, **labels: str) -> Buckets:
        """The buckets of a histogram, summed like `sum`."""
        found: dict[float, float] = defaultdict(float)
        wanted = set(labels.items())
        for key, value in self.numbers.get(f"{name}_bucket", {}).items():
            if wanted <= set(key):
                found[float(dict(key)["le"])] += value
        return found

    def tasks(self) -> set[str]:
        return {dict(key)["task"] for key in self.numbers.get("limbeck_calls_total", {})}


def read(pool: urllib3.PoolManager, url: str, secret: str | None) -> Reading:
    """The numbers of the gateway at `url`; `secret` is a client key, where it wants one.

    Raises LimbeckError.
    """
    health = _get(pool, url, "/limbeck/health", secret)
    page = _get(pool, url, "/limbeck/metrics", secret)
    numbers: dict[str, dict[tuple[tuple[str, str], ...], float]] = defaultdict(dict)
    try:
        for family in text_string_to_metric_families(page.data.decode()):
            for sample in family.samples:
                numbers[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
        return Reading(time.monotonic(), numbers, health.json())
    except (ValueError, KeyError) as error:
        raise LimbeckError(
            f"what answers at {url} is no gateway of Limbeck ({error}); check the host and the port"
        ) from None


def _get(
    pool: urllib3.PoolManager, url: str, path: str, secret: str | None
) -> urllib3.BaseHTTPResponse:
    headers = {HEADER.decode(): secret} if secret else {}
    try:
        found = pool.request("GET", url + path, headers=headers, timeout=TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError:
        raise LimbeckError(
            f"no gateway answers at {url}; start one with: limbeck gateway, or name its place with "
            "--host and --port"
        ) from None
    if found.status == 401:
        raise LimbeckError(
            f"the gateway at {url} wants a client key; put one into LIMBECK_CLIENT_KEY, or make one "
            "with: limbeck keys create NAME"
        )
    if found.status != 200:
        raise LimbeckError(
            f"{url}{path} answers with status {found.status}; wanted 200 from a gateway of Limbeck"
        )
    return found


def compare(before: Reading | None, now: Reading) -> Now:
    """What a gateway does at the moment of `now`, with rates since `before`."""
    if before is not None and _started(before) != _started(now):
        before = None  # It was started again: nothing can be compared.
    every = [_task(before, now, name) for name in sorted(now.tasks())]
    busiest = sorted(every, key=lambda one: (-(one.calls_s or 0.0), -one.calls))
    return Now(
        status=str(now.health.get("status", "unknown")),
        version=str(now.health.get("version", "unknown")),
        up_s=time.time() - _started(now),
        total=_task(before, now, None),
        tasks=tuple(busiest),
        open_streams=int(now.sum("limbeck_open_streams")),
        connections=int(now.sum("limbeck_open_connections")),
        waiting_for_disk=int(now.sum("limbeck_writer_waiting")),
        spooled=_left_in_spool(now),
        lost=int(now.sum("limbeck_traces_lost_total")),
        last_error=_last_error(now.health),
    )


def _task(before: Reading | None, now: Reading, name: str | None) -> TaskNow:
    labels = {} if name is None else {"task": name}

    def grown(metric: str, **more: str) -> float | None:
        """By how much a second."""
        if before is None or now.at <= before.at:
            return None
        by = now.sum(metric, **labels, **more) - before.sum(metric, **labels, **more)
        return by / (now.at - before.at)

    latency = now.buckets("limbeck_call_seconds", **labels)
    if before is not None:
        earlier = before.buckets("limbeck_call_seconds", **labels)
        latency = {bound: seen - earlier.get(bound, 0.0) for bound, seen in latency.items()}
    cost = grown("limbeck_cost_usd_total")
    return TaskNow(
        task=name or None,
        calls=int(now.sum("limbeck_calls_total", **labels)),
        calls_s=grown("limbeck_calls_total"),
        errors_s=grown("limbeck_calls_total", status="error"),
        p50_s=quantile(latency, 0.5),
        p95_s=quantile(latency, 0.95),
        tokens_s=grown("limbeck_tokens_total"),
        cost_usd=now.sum("limbeck_cost_usd_total", **labels),
        cost_usd_h=None if cost is None else cost * 3600,
        unpriced=int(now.sum("limbeck_unpriced_calls_total", **labels)),
    )


def quantile(buckets: Buckets, share: float) -> float | None:
    """The value below which a share of the calls lies, as far as the buckets tell: linear within one,
    as Prometheus' `histogram_quantile` does it. None where there is no call."""
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    rank = share * buckets[bounds[-1]]
    lower = seen = 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if bound == float("inf"):
                return lower
            return lower + (bound - lower) * (rank - seen) / (buckets[bound] - seen)
        lower, seen = bound, buckets[bound]
    return lower


def _started(reading: Reading) -> float:
    return reading.sum("limbeck_start_time_seconds")


def _left_in_spool(now: Reading) -> int:
    spooled = now.sum("limbeck_traces_spooled_total")
    return max(int(spooled - now.sum("limbeck_traces_absorbed_total")), 0)


def _last_error(health: Mapping[str, Any]) -> str | None:
    """What stands now (a wrong configuration) before what happened once."""
    for name in ("configuration_error", "keys_error", *ERRORS):
        if health.get(name):
            return str(health[name])
    return None

"""What Prometheus gets, read back by its own parser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve.counts import Counts
from limbeck.serve.exposition import Levels, expose
from limbeck.serve.metrics import Metrics
from limbeck.types import Elicited, Provenance, Trace, Usage

LEVELS = Levels(connections=3, busy=2, waiting=1, stale=True, failed=4)


def numbers(page: bytes, read: Any = read_text) -> dict[tuple[str, ...], float]:
    """Each number by its name and the values of its labels, these in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in read(page.decode())
        for sample in family.samples
    }


def seen() -> Metrics:
    metrics = Metrics()
    usage = Usage(input=100, output=20, cached=60, cache_write_5m=10, reasoning=5)
    origin = Provenance(source="gateway", generator='odd"name\\\n')
    trace = Trace(task="refunds", input="q", provenance=origin, usage=usage, latency_s=0.3)
    metrics.saw(trace.model_copy(update={"cost_usd": 0.5}), first_byte_s=0.1)
    return metrics


@pytest.mark.parametrize(
    ("accept", "read", "kind"),
    [
        ("", read_text, "text/plain"),
        (
            "application/openmetrics-text; version=1.0.0",
            read_openmetrics,
            "application/openmetrics",
        ),
    ],
)
def test_the_page_is_what_prometheus_reads(accept: str, read: Any, kind: str) -> None:
    page, said = expose(seen(), Counts(), LEVELS, accept)
    assert said.startswith(kind)
    found = numbers(page, read)
    model = 'odd"name\\\n'
    assert found["limbeck_calls_total", "teacher", model, "ok", "refunds"] == 1
    assert found["limbeck_cost_usd_total", "teacher", model, "ok", "refunds"] == 0.5
    assert found["limbeck_open_connections",] == 3
    assert found["limbeck_configuration_stale",] == 1
    assert found["limbeck_gateway_errors_total",] == 4


def test_kinds_of_tokens_do_not_overlap() -> None:
    page, _ = expose(seen(), Counts(), LEVELS, "")
    tokens = {key[1]: n for key, n in numbers(page).items() if key[0] == "limbeck_tokens_total"}
    assert tokens == {
        "input": 30,
        "cached": 60,
        "cache_write_5m": 10,
        "cache_write_1h": 0,
        "output": 15,
        "reasoning": 5,
    }
    assert sum(tokens.values()) == 120


def test_buckets_of_a_histogram_are_cumulative() -> None:
    found = numbers(expose(seen(), Counts(), LEVELS, "")[0])
    name = "limbeck_call_seconds"
    buckets = {key[2]: n for key, n in found.items() if key[0] == f"{name}_bucket"}
    assert (buckets["0.2"], buckets["0.3"], buckets["+Inf"]) == (0, 1, 1)
    assert found[f"{name}_count", "teacher", "refunds"] == 1
    assert found[f"{name}_sum", "teacher", "refunds"] == pytest.approx(0.3)


def test_what_went_wrong_is_counted_by_its_kind() -> None:
    counts = Counts()
    counts.teacher_failed("silent", "it said nothing")
    counts.teacher_refused(529, "anthropic")
    counts.client_refused("authentication_error")
    found = numbers(expose(Metrics(), counts, LEVELS, "")[0])
    assert found["limbeck_upstream_failures_total", "silent"] == 1
    assert found["limbeck_upstream_refusals_total", "529"] == 1
    assert found["limbeck_clients_refused_total", "authentication_error"] == 1


def test_every_count_of_the_gateway_is_exposed() -> None:
    """A new count that is forgotten here is found by its value."""
    counts = Counts()
    shown = set()
    for n, (name, value) in enumerate(vars(counts).items()):
        if isinstance(value, int):
            setattr(counts, name, 1000 + n)
            shown.add(1000 + n)
    values = set(numbers(expose(Metrics(), counts, LEVELS, "")[0]).values())
    # These are sums of numbers that are exposed one by one.
    sums = {
        vars(counts)[name]
        for name in (
            "answered_by_teacher",
            "answered_by_student",
            "teacher_refusals",
            "teacher_failures",
            "clients_refused",
        )
    }
    assert shown - sums <= values


def test_the_page_of_documentation_names_numbers_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "watching.md").read_text("utf-8")
    metrics = seen()
    elicited = Elicited(how="inline")
    origin = Provenance(source="gateway", generator="m")
    metrics.saw(Trace(task="t", input="q", provenance=origin, elicited=elicited))
    exposed = expose(metrics, Counts(), LEVELS, "")[0].decode()
    families = {
        line.split()[2] for line in exposed.splitlines() if line.startswith("# TYPE limbeck")
    }
    named = set(re.findall(r"\blimbeck_[a-z_]+", page))
    assert len(named) > 20
    assert named <= families


def test_a_gateway_shows_the_calls_that_it_passed(
    gateway: Callable[..., Any], provider: Any, whole: Callable[..., Any], chunked: Any
) -> None:
    spoken = dialect("anthropic")
    usage = Usage(input=1000, output=200)
    reply = Reply(text="Answer: grant", stop_reason="end_turn", usage=usage, model="teacher-1")
    provider.replies = [
        whole(json.dumps(spoken.write_reply(reply)).encode()),
        chunked(b"".join(spoken.write_stream(reply))),
        whole(b'{"error": {}}', "529 Overloaded"),
        [],
    ]
    ask = {"model": "teacher-1", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}
    headers = {"x-limbeck-task": "refunds", "connection": "close"}
    with gateway() as url, urllib3.PoolManager(retries=False) as pool:
        for body in (ask, {**ask, "stream": True}, ask, ask):
            assert pool.request("POST", f"{url}/v1/messages", json=body, headers=headers).data
        page = pool.request("GET", f"{url}/limbeck/metrics", headers={"connection": "close"})
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/plain")
        health = pool.request("GET", f"{url}/limbeck/health").json()
    found = numbers(page.data)
    calls = {key[3]: n for key, n in found.items() if key[0] == "limbeck_calls_total"}
    assert calls == {"ok": 2, "error": 2}
    # 1000 tokens at 3 and 200 at 15 USD a million, twice.
    assert found["limbeck_cost_usd_total", "teacher", "teacher-1", "ok", "refunds"] == 0.012
    assert found["limbeck_first_byte_seconds_count", "refunds"] == 1
    assert found["limbeck_call_seconds_count", "teacher", "refunds"] == 4
    assert found["limbeck_upstream_refusals_total", "529"] == 1
    assert found["limbeck_upstream_failures_total", "unreachable"] == 1
    assert found["limbeck_open_streams",] == 0
    assert found["limbeck_traces_recorded_total",] == 4
    assert found["limbeck_commit_traces_sum",] == 4
    assert found["limbeck_request_bytes_total",] > 4 * 60
    assert found["limbeck_reply_bytes_total",] > 100
    assert health["last_teacher_error"] is not None
    assert health["failures_by_kind"] == {"unreachable": 1}


def test_a_web_page_and_a_client_without_a_key_see_no_numbers(
    gateway: Callable[..., Any], provider: Any
) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        with gateway() as url:
            foreign = {"origin": "https://example.org"}
            assert pool.request("GET", f"{url}/limbeck/metrics", headers=foreign).status == 403
            # That is counted, and by a program on this machine it may be read.
            page = pool.request("GET", f"{url}/limbeck/metrics", headers={"connection": "close"})
            assert numbers(page.data)["limbeck_clients_refused_total", "permission_error"] == 1
            assert pool.request("POST", f"{url}/limbeck/metrics").status == 405
        with gateway(require_keys=True) as url:
            assert pool.request("GET", f"{url}/limbeck/metrics").status == 401

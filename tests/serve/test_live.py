from __future__ import annotations

import json
from typing import Any

import pytest
import urllib3

from limbeck.errors import LimbeckError
from limbeck.serve.counts import Counts
from limbeck.serve.exposition import Levels, expose
from limbeck.serve.live import Reading, compare, quantile, read
from limbeck.serve.metrics import Metrics
from limbeck.types import Provenance, Trace, Usage

INF = float("inf")


class Pool(urllib3.PoolManager):
    """Answers as a gateway with these numbers would."""

    def __init__(self, metrics: Metrics, status: int = 200, **health: Any) -> None:
        super().__init__()
        self.metrics = metrics
        self.status = status
        self.health = {"status": "ok", "version": "1", **health}
        self.sent: list[Any] = []

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        self.sent.append(more["headers"])
        if url.endswith("/health"):
            body = json.dumps(self.health).encode()
        else:
            levels = Levels(connections=7, busy=1, waiting=2, stale=False, failed=0)
            counts = Counts()
            counts.spooled, counts.absorbed, counts.unrecorded = 5, 2, 1
            body, _ = expose(self.metrics, counts, levels, "")
        return urllib3.HTTPResponse(body, status=self.status)


def call(metrics: Metrics, task: str | None, latency_s: float, **more: Any) -> None:
    origin = Provenance(source="gateway", generator="m")
    metrics.saw(Trace(task=task, input="q", provenance=origin, latency_s=latency_s, **more))


def a_reading(metrics: Metrics, at: float, **health: Any) -> Reading:
    found = read(Pool(metrics, **health), "http://h", None)
    return Reading(at, found.numbers, found.health)


def test_rates_are_what_happened_between_two_readings() -> None:
    metrics = Metrics()
    call(metrics, "refunds", 9.0, usage=Usage(input=500), cost_usd=1.0)
    before = a_reading(metrics, 100.0)
    for _ in range(18):
        call(metrics, "refunds", 0.08, usage=Usage(input=90, output=10), cost_usd=0.01)
    call(metrics, None, 0.4, status="error")
    call(metrics, None, 0.4, usage=Usage(input=20))
    now = compare(before, a_reading(metrics, 110.0))
    refunds, untasked = now.tasks
    assert (refunds.task, untasked.task) == ("refunds", None)
    assert (refunds.calls, refunds.calls_s) == (19, 1.8)
    assert refunds.tokens_s == pytest.approx(180.0)
    assert refunds.cost_usd == pytest.approx(1.18)
    assert refunds.cost_usd_h == pytest.approx(0.018 * 3600)
    # The slow call came before, so that it is in no quantile.
    assert refunds.p95_s is not None
    assert 0.05 < refunds.p95_s <= 0.1
    assert (untasked.errors_s, untasked.unpriced) == (0.1, 1)
    assert (now.total.calls, now.total.calls_s) == (21, 2.0)
    assert (now.connections, now.waiting_for_disk, now.spooled, now.lost) == (7, 2, 3, 1)


def test_one_reading_has_no_rates() -> None:
    metrics = Metrics()
    call(metrics, "refunds", 0.08)
    now = compare(None, a_reading(metrics, 1.0))
    assert (now.total.calls, now.total.calls_s, now.total.cost_usd_h) == (1, None, None)
    assert now.total.p50_s is not None


def test_a_gateway_that_started_again_is_not_compared_with_what_it_was() -> None:
    before, after = Metrics(), Metrics()
    for _ in range(100):
        call(before, "refunds", 0.1)
    after.started_at = before.started_at + 60
    now = compare(a_reading(before, 1.0), a_reading(after, 2.0))
    assert now.total.calls_s is None


@pytest.mark.parametrize(
    ("buckets", "share", "wanted"),
    [
        ({}, 0.5, None),
        ({1.0: 0, INF: 0}, 0.5, None),
        ({1.0: 10, INF: 10}, 0.5, 0.5),
        ({1.0: 0, 3.0: 10, INF: 10}, 0.5, 2.0),
        ({1.0: 5, 3.0: 5, 5.0: 10, INF: 10}, 0.75, 4.0),
        ({1.0: 0, INF: 10}, 0.95, 1.0),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(
    buckets: dict[float, float], share: float, wanted: float | None
) -> None:
    assert quantile(buckets, share) == wanted


def test_what_stands_wrong_now_comes_before_what_happened_once() -> None:
    found = a_reading(Metrics(), 1.0, last_teacher_error="once", configuration_error="now")
    assert compare(None, found).last_error == "now"
    assert compare(None, a_reading(Metrics(), 1.0, last_teacher_error="once")).last_error == "once"


def test_a_client_key_is_sent_where_there_is_one() -> None:
    pool = Pool(Metrics())
    read(pool, "http://h", "lk_1")
    read(pool, "http://h", None)
    assert pool.sent == [{"x-limbeck-client-key": "lk_1"}] * 2 + [{}] * 2


@pytest.mark.parametrize(
    ("status", "sentence"), [(401, "LIMBECK_CLIENT_KEY"), (404, "status 404; wanted 200")]
)
def test_a_gateway_that_refuses_is_one_sentence(status: int, sentence: str) -> None:
    with pytest.raises(LimbeckError, match=sentence):
        read(Pool(Metrics(), status=status), "http://h", None)


def test_another_program_at_the_port_is_no_gateway() -> None:
    class Other(Pool):
        def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
            return urllib3.HTTPResponse(b"<html>hello", status=200)

    with pytest.raises(LimbeckError, match="is no gateway of Limbeck"):
        read(Other(Metrics()), "http://h", None)

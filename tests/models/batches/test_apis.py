"""Both providers' batch APIs behind one shape, against the simulated teacher and against scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.server import create_app
from limbeck.capture.sandbox.tasks import load
from limbeck.errors import ConfigError
from limbeck.models.batches.batch import BatchApi, Item, Sought
from limbeck.models.batches.connection import Connection
from limbeck.models.batches.table import TABLE, batch_api
from limbeck.models.dialects.table import TABLE as DIALECTS
from limbeck.models.dialects.table import dialect
from limbeck.serve.running import running_in_thread

PERFECT = FaultRates.none().model_dump()
ITEMS = load("refunds").generate(4, seed=1)
NAMES = sorted(TABLE)


def items(name: str, token: str = "lb1") -> list[Item]:
    instruction = load("refunds").instruction
    return [
        Item(
            f"{token}-{n}",
            dialect(name).write_request(model="m", system=instruction, user=item.input),
        )
        for n, item in enumerate(ITEMS)
    ]


@contextmanager
def api(name: str, **rules: Any) -> Iterator[BatchApi]:
    with running_in_thread(create_app(rates=PERFECT, batches=rules)) as url:
        base = url if name == "anthropic" else f"{url}/v1"
        made = batch_api(Connection(base, name, "k"))
        yield made
        made.close()


def sought(token: str = "lb1", requests: int = 4, **more: Any) -> Sought:
    return Sought(token, requests, datetime.now(UTC), **more)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_handed_in_and_its_replies_come_back_by_name(name: str) -> None:
    with api(name) as batches:
        batch_id = batches.submit("lb1", items(name))
        first, then = batches.state(batch_id), batches.state(batch_id)
        results = {result.custom_id: result for result in batches.results(batch_id)}
    assert (first.ended, first.wait_s, first.simulated) == (False, 0.05, True)
    assert (then.ended, then.done) == (True, 4)
    assert then.ended_at is not None
    for n, item in enumerate(ITEMS):
        reply = results[f"lb1-{n}"].reply
        assert reply is not None
        assert reply.text.endswith(f"Answer: {item.truth}")
        assert reply.usage.input > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_answered_says_why(name: str) -> None:
    with api(name, looks=0, faults=["errored", "expired", "canceled"]) as batches:
        results = list(batches.results(batches.submit("lb1", items(name))))
    reasons = {result.custom_id: result.reason for result in results}
    assert reasons == {"lb1-0": "errored", "lb1-1": "expired", "lb1-2": "canceled", "lb1-3": ""}


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses"])
def test_a_batch_of_openai_is_found_by_its_token_at_once(name: str) -> None:
    with api(name) as batches:
        batches.submit("lb0", items(name, "lb0"))
        mine = batches.submit("lb1", items(name))
        assert batches.find(sought()).batch_id == mine
        assert batches.find(sought("lb2")) == (None, ())
        assert batches.find(sought()._replace(at=datetime.now(UTC) + timedelta(days=1)))[0] is None


def test_a_batch_of_anthropic_is_told_by_its_results_when_it_has_ended() -> None:
    with api("anthropic", looks=1) as batches:
        other = batches.submit("lb0", items("anthropic", "lb0"))
        mine = batches.submit("lb1", items("anthropic"))
        short = batches.submit("lb3", items("anthropic", "lb3")[:2])
        assert set(batches.find(sought()).candidates) == {other, mine}
        assert batches.find(sought()).batch_id == mine
        assert batches.find(sought("lb2")) == (None, ())
        assert batches.find(sought(others={mine})) == (None, ())
        assert batches.find(sought("lb3", 2)).batch_id == short
        assert batches.find(sought()._replace(at=datetime.now(UTC) + timedelta(days=1)))[0] is None
        assert batches.find(sought()._replace(at=datetime.now(UTC) - timedelta(days=1)))[0] is None


@pytest.mark.parametrize("name", ["anthropic", "openai_chat"])
def test_a_batch_is_looked_for_on_every_page_of_the_list(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "anthropic" if name == "anthropic" else "openai"
    monkeypatch.setattr(f"limbeck.models.batches.{module}._PAGE", "2")
    with api(name, looks=0) as batches:
        mine = batches.submit("lb1", items(name))
        for n in range(2, 7):
            batches.submit(f"lb{n}", items(name, f"lb{n}"))
        assert batches.find(sought()).batch_id == mine


def test_a_batch_that_openai_refuses_as_a_whole_says_why() -> None:
    with api("openai_chat", looks=0, faults=["failed"]) as batches:
        state = batches.state(batches.submit("lb1", items("openai_chat")))
    assert state.ended
    assert state.failure == "Enqueued token limit reached (simulated)"


@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_an_item_is_what_it_adds_to_what_is_sent(
    name: str, upstream: Any, connect: Callable[..., Connection]
) -> None:
    said = json.dumps({"id": "x"}).encode()
    upstream.script = [(200, {}, said)]
    batches = batch_api(connect(name))
    batches.submit("lb1", items(name))
    sent = len(upstream.requests[0][3])
    upstream.requests.clear()
    batches.submit("lb1", [*items(name), items(name, "lb2")[0]])
    assert len(upstream.requests[0][3]) - sent == batches.item_bytes(items(name, "lb2")[0])


def test_a_result_that_cannot_be_read_costs_the_others_nothing(
    upstream: Any, connect: Callable[..., Connection]
) -> None:
    good = {"type": "message", "content": [{"type": "text", "text": "so"}]}
    rows = [
        b"{half",
        json.dumps({"custom_id": "a", "result": {"type": "succeeded", "message": {}}}).encode(),
        json.dumps({"custom_id": "b", "result": {"type": "succeeded", "message": good}}).encode(),
    ]
    upstream.script = [(200, {}, b"\n".join(rows))]
    results = list(batch_api(connect()).results("x"))
    assert [result.reason for result in results] == ["unreadable", "unreadable", ""]
    assert results[2].reply is not None
    assert results[2].reply.text == "so"


def test_every_dialect_has_a_batch_api_or_says_that_it_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(TABLE) <= set(DIALECTS)
    monkeypatch.delitem(TABLE, "anthropic")
    with pytest.raises(ConfigError, match="--no-batch"):
        batch_api(Connection("http://127.0.0.1:9", "anthropic"))

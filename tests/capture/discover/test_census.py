from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.discover.census import LEAST_SAMPLED, Census, Tally, read_parts
from limbeck.capture.discover.discover import discover
from limbeck.capture.skeleton import divide_text
from limbeck.store.store import Store
from limbeck.types import Provenance, Trace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as opened:
        yield opened


def call(given: str, skeleton: str | None = None, **fields: Any) -> Trace:
    origin = Provenance(source="gateway", skeleton=skeleton)
    return Trace(task=None, input=given, raw="yes", provenance=origin, **fields)


def record(store: Store, system: str, given: str) -> None:
    skeleton, text, _ = divide_text(None, system, given)
    store.record([call(text, skeleton.name)], (), skeleton.blobs)


def test_a_sample_does_not_depend_on_the_order_of_the_calls() -> None:
    traces = [call(str(n)) for n in range(200)]
    one, two = Tally(), Tally()
    for trace in traces:
        one.add(trace, 20)
    for trace in reversed(traces):
        two.add(trace, 20)
    assert one.samples == two.samples
    assert [sample.trace_id for sample in one.samples] == sorted(t.id for t in traces)[:20]


def test_tallies_of_two_piles_make_the_tally_of_both() -> None:
    traces = [call(str(n), cost_usd=0.5 if n % 2 else None) for n in range(60)]
    parts, whole = (Tally(), Tally()), Tally()
    for n, trace in enumerate(traces):
        parts[n % 3 == 0].add(trace, 100)
        whole.add(trace, 100)
    parts[0].merge(parts[1])
    assert parts[0].samples == whole.samples
    assert (parts[0].spell, parts[0].priced) == (whole.spell, whole.priced)
    assert parts[0].cost_usd == pytest.approx(15.0)


def test_failed_calls_are_counted_and_not_sampled() -> None:
    tally = Tally()
    tally.add(call("x", status="error"), 10)
    assert (tally.spell.calls, tally.failed, tally.samples) == (1, 1, [])


def test_long_texts_are_kept_at_both_ends() -> None:
    tally = Tally()
    tally.add(call("a" * 50_000 + "end"), 10)
    [sample] = tally.samples
    assert len(sample.input) == 20_000
    assert sample.input.endswith("aend")


def test_what_a_tool_was_given_is_the_reply_where_there_is_no_text() -> None:
    blocks = (
        '[{"type":"tool_use","name":"route","input":{"team":"a"}}]',
        '[{"type":"function","function":{"name":"route","arguments":"{\\"team\\": \\"a\\"}"}}]',
        '[{"type":"function_call","name":"route","arguments":"{\\"team\\": \\"a\\"}"}]',
    )
    for given in blocks:
        tally = Tally()
        tally.add(call("x").model_copy(update={"raw": "", "blocks": given}), 10)
        assert tally.samples[0].said.text == '{"team": "a"}'


def test_a_skeleton_that_is_lost_or_damaged_is_an_empty_prompt(store: Store) -> None:
    damaged = [store.put_blob(data) for data in (b"\xff", b"[1]", b"{", b'{"instruction": 3}')]
    for name in (*damaged, None, "sha256:gone"):
        assert read_parts(store, name).instruction == ""


def test_prompts_beyond_the_limit_are_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbeck.capture.discover.census.MOST_PILES", 2)
    for word in ("one", "two", "three", "four"):
        record(store, f"Say whether {word} is right.", "x")
    census = Census(store)
    census.take()
    assert (census.calls, len(census.piles), census.ungrouped) == (4, 2, 2)
    assert discover(store, min_calls=1).found.rest >= 2


def test_with_many_prompts_fewer_calls_of_each_are_sampled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbeck.capture.discover.census.SAMPLED_IN_ALL", 3)
    for n in range(30):
        record(store, "Say whether it is right.", str(n))
    census = Census(store)
    census.take()
    assert len(census.piles[0].tally.samples) == LEAST_SAMPLED
    assert census.piles[0].tally.spell.calls == 30

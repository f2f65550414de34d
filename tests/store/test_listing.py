from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from limbeck.store.early import EarlyOutcome
from limbeck.store.store import Store
from limbeck.types import PostHoc, Trace

Make = Callable[..., Trace]


def test_counts_tell_everything_apart(store: Store, make: Make) -> None:
    trace = make()
    store.add([trace])
    store.explain([PostHoc(trace_id=trace.id, rationale="because")])
    store.expect([EarlyOutcome(key="correlation", name="c", value="a", source="gold")])
    assert store.counts().model_dump(exclude={"tasks"}) == {
        "traces": 1,
        "outcomes": 0,
        "early_outcomes": 1,
        "rationales": 1,
        "blobs": 0,
    }


def test_skeletons_come_in_the_order_in_which_they_were_first_seen(
    store: Store, make: Make
) -> None:
    began = datetime.now(UTC)
    store.add([make("1", skeleton="b", cost_usd=0.25), make("2", skeleton="a")])
    store.add([make("3", skeleton="b", cost_usd=0.5), make("4"), make("5", task="u", skeleton="c")])
    b, a, none = store.skeletons("t")
    assert (b.skeleton, b.traces, b.cost_usd) == ("b", 2, 0.75)
    assert (a.skeleton, a.traces, a.cost_usd) == ("a", 1, None)
    assert (none.skeleton, none.traces) == (None, 1)
    assert began <= datetime.fromisoformat(b.first_at) <= datetime.fromisoformat(b.last_at)
    assert store.skeletons(None) == []


def test_the_traces_of_a_skeleton_are_read_up_to_a_limit(store: Store, make: Make) -> None:
    store.add([make(str(n), task=None, skeleton="ab"[n % 2]) for n in range(10)])
    store.add([make("tasked", skeleton="a"), make("without", task=None)])
    assert [t.input for t in store.by_skeleton(None, "a")] == ["0", "2", "4", "6", "8"]
    assert [t.input for t in store.by_skeleton(None, "b", 2)] == ["1", "3"]
    assert [t.input for t in store.by_skeleton(None, None)] == ["without"]


@pytest.mark.parametrize("zone", [True, False])
def test_traces_may_be_read_from_a_time_on(store: Store, make: Make, zone: bool) -> None:
    store.add([make("old")])
    since = datetime.now(UTC)
    store.add([make("new")])
    given = since if zone else since.replace(tzinfo=None)
    assert [trace.input for trace in store.traces("t", since=given)] == ["new"]
    assert list(store.traces("t", since=since + timedelta(days=1))) == []

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limbeck.store.early import EarlyOutcome, Key
from limbeck.store.store import Store
from limbeck.types import Outcome, Trace

Make = Callable[..., Trace]


def early(key: Key = "correlation", name: str = "c", **said: object) -> EarlyOutcome:
    return EarlyOutcome.model_validate(
        {"key": key, "name": name, "value": "a", "source": "human", **said}
    )


@pytest.mark.parametrize("key", ["trace_id", "request_id", "correlation"])
def test_an_early_outcome_is_attached_once_its_trace_is_there(
    store: Store, make: Make, key: Key
) -> None:
    trace = make(request_id="r", correlation="c")
    name = {"trace_id": trace.id, "request_id": "r", "correlation": "c"}[key]
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert store.expect([early(key, name, at=at)]) == 1
    assert store.truths("t") == {}
    store.add([trace])
    wanted = Outcome(trace_id=trace.id, value="a", source="human", at=at)
    assert store.truths("t") == {trace.id: wanted}
    assert store.counts().early_outcomes == 0
    assert store.verify() == []


def test_counting_attaches_what_has_come(store: Store, make: Make) -> None:
    store.expect([early()])
    assert (store.counts().outcomes, store.counts().early_outcomes) == (0, 1)
    store.add([make(correlation="c")])
    counts = store.counts()
    assert (counts.outcomes, counts.early_outcomes) == (1, 0)
    assert counts.tasks["t"].with_outcome == 1


def test_the_same_outcome_sent_again_changes_nothing(store: Store, make: Make) -> None:
    assert store.expect([early(), early()]) == 1
    assert store.expect([early()]) == 0
    trace = make(correlation="c")
    store.add([trace])
    store.attach([Outcome(trace_id=trace.id, value="a", source="human")])
    assert store.settle() == 1
    assert (store.counts().outcomes, store.counts().early_outcomes) == (1, 0)


def test_of_several_traces_with_one_name_the_latest_is_meant(store: Store, make: Make) -> None:
    store.expect([early()])
    later = make("later", correlation="c")
    store.add([make("first", correlation="c"), later])
    assert list(store.truths("t")) == [later.id]


def test_what_is_said_of_a_task_waits_for_a_trace_of_that_task(store: Store, make: Make) -> None:
    store.expect([early(task="t")])
    store.add([make("theirs", task="u", correlation="c"), make("nobody's", task=None)])
    assert store.settle() == 0
    ours = make("ours", correlation="c")
    store.add([ours])
    assert list(store.truths("t")) == [ours.id]
    assert store.truths("u") == {}


def test_any_name_finds_its_trace(store: Store, make: Make) -> None:
    name = "Ünïcode \0 and a lone \ud800"
    store.expect([early(name=name)])
    store.add([make(correlation=name)])
    assert store.settle() == 1


def test_the_trace_may_be_written_by_another_process(path: Path, make: Make) -> None:
    with Store(path) as ours, Store(path) as theirs:
        ours.expect([early()])
        theirs.add([make(correlation="c")])
        assert ours.settle() == 1
        assert theirs.settle() == 0


def test_an_outcome_that_comes_by_a_former_id_is_attached(store: Store, make: Make) -> None:
    untasked = make(task=None)
    store.add([untasked])
    store.expect([early("trace_id", untasked.id, task="t")])
    tasked = make()
    store.replace([(untasked.id, tasked)])
    assert list(store.truths("t")) == [tasked.id]

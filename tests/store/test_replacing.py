from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from limbeck.store.store import Store
from limbeck.types import Outcome, PostHoc, Trace

Make = Callable[..., Trace]


def test_outcomes_and_rationales_move_to_the_new_trace(store: Store, make: Make) -> None:
    old = make(task=None, skeleton="sha256:1")
    other = make("other", task=None)
    store.add([old, other])
    store.attach(
        [Outcome(trace_id=old.id, value="a", source=s) for s in ("gold", "downstream")]
        + [Outcome(trace_id=other.id, value="b", source="gold")]
    )
    store.explain([PostHoc(trace_id=old.id, rationale="because")])
    new = old.model_copy(update={"task": "t", "answer": "a"})
    assert store.replace([(old.id, new), ("sha256:0", make("nobody"))]) == 1
    assert list(store.traces("t")) == [new]
    assert list(store.traces(None)) == [other]
    assert store.truths("t")[new.id] == Outcome(trace_id=new.id, value="a", source="gold")
    assert store.rationales("t")[new.id].rationale == "because"
    assert store.counts().outcomes == 3
    assert store.verify() == []


def test_the_old_id_still_finds_the_trace(store: Store, make: Make) -> None:
    first, second, third = make(task=None), make(task="u"), make(task="t")
    store.add([first])
    store.replace([(first.id, second)])
    store.replace([(second.id, third)])
    assert store.find(trace_id=first.id) == store.find(trace_id=second.id) == third.id
    found = store.find_all("trace_id", [first.id, third.id, "sha256:0"])
    assert found == {first.id: third, third.id: third}
    store.replace([(third.id, first)])
    assert store.find(trace_id=third.id) == store.find(trace_id=first.id) == first.id
    assert store.verify() == []


def test_a_trace_that_is_there_already_takes_what_hangs_on_the_old_one(
    store: Store, make: Make
) -> None:
    old, new = make(task=None), make()
    store.add([old, new])
    same = Outcome(trace_id=new.id, value="a", source="gold")
    store.attach([same, same.model_copy(update={"trace_id": old.id})])
    assert store.replace([(old.id, new), (new.id, new)]) == 1
    assert (store.counts().traces, store.counts().outcomes) == (1, 1)
    assert store.verify() == []


def test_a_replaced_trace_keeps_the_time_of_its_recording(
    path: Path, store: Store, make: Make
) -> None:
    old = make(task=None)
    store.add([old])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE traces SET recorded_at = '2020-01-01T00:00:00+00:00'")
    connection.close()
    store.replace([(old.id, make())])
    [counts] = store.skeletons("t")
    assert counts.first_at == "2020-01-01T00:00:00+00:00"

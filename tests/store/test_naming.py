from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.store import naming
from limbeck.store import store as storing
from limbeck.store.early import EarlyOutcome
from limbeck.store.forgetting import Scope
from limbeck.store.store import Store
from limbeck.types import Outcome, PostHoc, Trace, text_hash

Make = Callable[..., Trace]


def waiting(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        [(number,)] = connection.execute("SELECT count(*) FROM arrivals")
    finally:
        connection.close()
    return int(number)


@pytest.fixture
def traces(make: Make) -> list[Trace]:
    return [make(str(number), request_id=f"req_{number % 7}") for number in range(200)]


@pytest.mark.parametrize("sorted_in", [False, True])
def test_an_appended_trace_is_found_by_each_of_its_names(
    store: Store, path: Path, traces: list[Trace], sorted_in: bool
) -> None:
    store.append(traces)
    assert waiting(path) == 200
    if sorted_in:
        assert store.sort_in() == 200
        assert waiting(path) == 0
    assert store.trace(traces[3].id) == traces[3]
    assert store.find(trace_id=traces[5].id) == traces[5].id
    assert store.find(request_id="req_2") == traces[198].id
    assert store.find_all("request_id", ["req_0", "req_9"]) == {"req_0": traces[196]}
    assert store.find_all("trace_id", [traces[0].id]) == {traces[0].id: traces[0]}
    assert list(store.traces("t")) == traces
    assert store.verify() == []


@pytest.mark.parametrize("sorted_in", [False, True])
def test_whatever_hangs_on_an_appended_trace_finds_it(
    store: Store, path: Path, traces: list[Trace], sorted_in: bool
) -> None:
    store.append(traces)
    if sorted_in:
        store.sort_in()
    outcome = Outcome(trace_id=traces[7].id, value="a", source="gold")
    assert store.attach([outcome]) == 1
    assert store.truths("t") == {traces[7].id: outcome}
    assert waiting(path) == 0
    store.explain([PostHoc(trace_id=traces[8].id, rationale="because")])
    assert list(store.rationales("t")) == [traces[8].id]
    assert store.verify() == []


@pytest.mark.parametrize("sorted_in", [False, True])
@pytest.mark.parametrize("key", ["trace_id", "request_id"])
def test_an_early_outcome_finds_an_appended_trace(
    store: Store, make: Make, key: str, sorted_in: bool
) -> None:
    trace = make(request_id="req_1")
    name = trace.id if key == "trace_id" else "req_1"
    store.expect([EarlyOutcome(key=key, name=name, value="a", source="gold")])
    store.append([trace])
    if sorted_in:
        store.sort_in()
    assert store.settle() == 1
    assert list(store.truths("t")) == [trace.id]


def test_a_trace_that_is_appended_twice_is_there_once_when_it_is_sorted_in(
    store: Store, path: Path, traces: list[Trace]
) -> None:
    store.add(traces[:3])
    store.append(traces[:5])
    store.append(traces[4:6])
    store.sort_in()
    assert list(store.traces("t")) == traces[:6]
    assert store.find(request_id="req_4") == traces[4].id
    assert store.verify() == []


def test_a_trace_that_waits_is_not_added_again(store: Store, traces: list[Trace]) -> None:
    store.append(traces[:3])
    assert store.record(traces[:5], ()) == (2, 0)
    assert list(store.traces("t")) == traces[:5]
    assert store.verify() == []


def test_a_trace_that_waits_can_be_replaced_and_found_by_both_ids(store: Store, make: Make) -> None:
    old, new = make("x", task=None, request_id="req_1"), make("x", request_id="req_1")
    store.append([old])
    assert store.replace([(old.id, new)]) == 1
    assert store.find(trace_id=old.id) == store.find(request_id="req_1") == new.id
    assert list(store.traces(None)) == []
    assert store.verify() == []


def test_forgetting_takes_the_names_that_wait(store: Store, path: Path, make: Make) -> None:
    store.append([make("kept", request_id="req_1"), make("gone", subject="s", request_id="req_2")])
    assert store.forget(Scope(subject="s")).traces == 1
    assert store.find(request_id="req_1") is not None
    assert store.find(request_id="req_2") is None
    connection = sqlite3.connect(path)
    for table in ("arrivals", "request_ids"):
        assert ("req_2",) not in connection.execute(f"SELECT request_id FROM {table}").fetchall()
    connection.close()
    assert store.verify() == []


def test_a_trace_that_is_forgotten_while_names_are_sorted_in_leaves_none(
    store: Store, traces: list[Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "SLICE", 20)
    store.append(traces)
    forgotten: list[threading.Thread] = []
    sort = naming._sort

    def slowly(connection: object, some: object) -> int:
        new = sort(connection, some)  # type: ignore[arg-type]
        if not forgotten:
            forgotten.append(threading.Thread(target=store.forget, args=(Scope(task="t"),)))
            forgotten[0].start()
        return new

    monkeypatch.setattr(naming, "_sort", slowly)
    store.sort_in()
    forgotten[0].join()
    assert list(store.traces("t")) == []
    assert store.verify() == []


def test_sorting_in_that_was_broken_off_goes_on(
    store: Store, path: Path, traces: list[Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "SLICE", 30)
    store.append(traces)
    sort, slices = naming._sort, []

    def breaking(connection: object, some: object) -> int:
        slices.append(some)
        if len(slices) == 4:
            raise KeyboardInterrupt
        return sort(connection, some)  # type: ignore[arg-type]

    monkeypatch.setattr(naming, "_sort", breaking)
    with pytest.raises(KeyboardInterrupt):
        store.sort_in()
    monkeypatch.undo()
    assert waiting(path) == 200
    assert store.verify() == []
    assert store.sort_in() == 200
    assert waiting(path) == 0
    assert store.verify() == []
    assert store.find(request_id="req_3") == traces[199].id


def test_a_process_that_appends_much_sorts_in_by_itself(
    store: Store, path: Path, traces: list[Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MOST_WAITING", 150)
    store.append(traces[:140])
    assert waiting(path) == 140
    store.append(traces[140:])
    assert waiting(path) == 0


@pytest.mark.parametrize("sorted_in", [False, True])
def test_more_names_than_fit_in_a_query_are_found(
    store: Store, make: Make, sorted_in: bool
) -> None:
    many = [make(str(number), request_id=f"r{number}") for number in range(1200)]
    store.append(many)
    if sorted_in:
        store.sort_in()
    assert len(store.find_all("request_id", [f"r{number}" for number in range(1300)])) == 1200
    assert len(store.find_all("trace_id", [trace.id for trace in many])) == 1200


def test_blobs_are_appended_with_their_traces(store: Store, make: Make) -> None:
    data = "the instructions"
    store.append([make(skeleton=text_hash(data))], {text_hash(data): data.encode()})
    assert store.blob(text_hash(data)) == data.encode()
    assert store.verify() == []


def test_a_trace_without_its_name_is_damage(store: Store, path: Path, make: Make) -> None:
    store.add([make()])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE trace_ids SET position = 99")
    connection.commit()
    connection.close()
    [first, second] = store.verify()
    assert "cannot be found by its id" in first
    assert "belongs to no trace" in second

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.store import forgetting
from limbeck.store.early import EarlyOutcome
from limbeck.store.forgetting import Forgotten, Scope
from limbeck.store.store import Store
from limbeck.types import Outcome, PostHoc, Trace, text_hash

Make = Callable[..., Trace]
OLD = "2020-01-01T00:00:00+00:00"
SECRET = "Wolfsbane"


def age(path: Path, table: str, where: str = "1") -> None:
    """Make rows of `table` old, as if they had been recorded in 2020."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {table} SET recorded_at = '{OLD}' WHERE {where}")
    connection.close()


def on_disk(path: Path, text: str) -> bool:
    """Whether any file of the store has the text."""
    return any(text.encode() in file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def blob(text: str) -> dict[str, bytes]:
    return {text_hash(text): text.encode()}


def test_a_scope_says_what_goes() -> None:
    with pytest.raises(ValueError, match="no condition is given"):
        Scope()
    with pytest.raises(ValueError, match="wanted one of them"):
        Scope(task="t", untasked=True)


def test_a_trace_goes_with_all_that_hangs_on_it(store: Store, make: Make) -> None:
    gone, kept = make("gone", subject="s"), make("kept", subject="s2")
    store.add([gone, kept])
    for trace in (gone, kept):
        store.attach([Outcome(trace_id=trace.id, value="a", source="gold")])
        store.explain([PostHoc(trace_id=trace.id, rationale="because")])
    scope = Scope(subject="s")
    assert store.would_forget(scope) == Forgotten(traces=1, outcomes=1, rationales=1)
    assert store.counts().traces == 2
    assert store.forget(scope) == Forgotten(traces=1, outcomes=1, rationales=1)
    assert store.forget(scope) == Forgotten()
    assert list(store.traces("t")) == [kept]
    assert list(store.truths("t")) == list(store.rationales("t")) == [kept.id]
    assert store.verify() == []


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ({"task": "t"}, ["u", "none"]),
        ({"untasked": True}, ["old", "new", "u"]),
        ({"before": datetime(2021, 1, 1, tzinfo=UTC)}, ["new", "u", "none"]),
        ({"before": datetime(2021, 1, 1), "task": "u"}, ["old", "new", "u", "none"]),
        ({"subject": "s", "task": "t"}, ["new", "u", "none"]),
    ],
)
def test_all_conditions_must_be_met(
    path: Path, store: Store, make: Make, scope: dict[str, Any], left: list[str]
) -> None:
    store.add([make("old", subject="s"), make("new"), make("u", task="u", subject="s")])
    store.add([make("none", task=None)])
    age(path, "traces", "content LIKE '%\"old\"%'")
    store.forget(Scope(**scope))
    traces = [trace for task in ("t", "u", None) for trace in store.traces(task)]
    assert [trace.input for trace in traces] == left


def test_a_trace_may_be_named_by_a_former_id(store: Store, make: Make) -> None:
    untasked = make(task=None)
    store.add([untasked])
    store.replace([(untasked.id, make())])
    assert store.forget(Scope(trace_id=untasked.id)).traces == 1
    assert store.find(trace_id=untasked.id) is None
    assert store.verify() == []


def test_outcomes_that_wait_under_its_names_go_too(store: Store, make: Make) -> None:
    trace = make(subject="s", correlation="c", request_id="r")
    store.add([trace])
    waiting = [
        EarlyOutcome(key="correlation", name="c", task="u", value="a", source="gold"),
        EarlyOutcome(key="request_id", name="r", task="u", value="a", source="gold"),
        EarlyOutcome(key="trace_id", name=trace.id, task="u", value="a", source="gold"),
        EarlyOutcome(key="correlation", name="d", value="a", source="gold"),
    ]
    store.expect(waiting)
    assert store.forget(Scope(subject="s")) == Forgotten(traces=1, early=3)
    assert store.counts().early_outcomes == 1


def test_waiting_outcomes_go_by_task_and_age(path: Path, store: Store) -> None:
    def early(name: str, task: str | None) -> EarlyOutcome:
        return EarlyOutcome(key="correlation", name=name, task=task, value="a", source="gold")

    store.expect([early("1", "t"), early("2", None)])
    age(path, "early_outcomes")
    store.expect([early("3", "t"), early("4", None)])
    then = datetime(2021, 1, 1, tzinfo=UTC)
    assert store.would_forget(Scope(task="t", before=then)).early == 1
    assert store.forget(Scope(task="t", before=then)).early == 1
    assert store.forget(Scope(before=then)).early == 1
    assert store.forget(Scope(task="t")).early == 1
    assert store.counts().early_outcomes == 1


def test_blobs_go_when_nothing_refers_to_them(path: Path, store: Store, make: Make) -> None:
    image, unused = blob("image"), blob("unused")
    media = json.dumps([{"image": {"blob": next(iter(image))}}])
    contexts = {name: blob(f"{name}{media}") for name in ("gone", "kept")}
    skeletons = {name: blob(f"skeleton of {name}") for name in ("gone", "kept")}
    for name, task in (("gone", "t"), ("kept", "u")):
        trace = make(
            name,
            task=task,
            skeleton=next(iter(skeletons[name])),
            context=next(iter(contexts[name])),
        )
        store.record([trace], (), {**skeletons[name], **contexts[name], **image, **unused})
    assert store.forget(Scope(task="t")) == Forgotten(traces=1)
    age(path, "blobs")
    assert store.forget(Scope(task="t")) == Forgotten(blobs=3)
    for kept in (skeletons["kept"], contexts["kept"], image):
        assert [store.blob(name) for name in kept] == list(kept.values())
    assert store.verify() == []
    assert store.forget(Scope(task="u")) == Forgotten(traces=1, blobs=3)
    assert store.counts().blobs == 0


def test_a_blob_that_was_kept_again_is_in_use(path: Path, store: Store, make: Make) -> None:
    """A gateway that just sent a blob refers to it without sending it again."""
    shared = blob("instructions")
    trace = make(skeleton=next(iter(shared)))
    store.record([trace], (), shared)
    age(path, "blobs")
    store.record([make("2", skeleton=next(iter(shared)))], (), shared)
    assert store.forget(Scope(task="t")) == Forgotten(traces=2)
    assert store.counts().blobs == 1


def test_a_blob_that_is_referred_to_while_others_are_looked_through_stays(
    path: Path, store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.store import blobs

    skeleton, image = blob("instructions"), blob("image")
    context = blob(json.dumps({"blob": next(iter(image))}))
    store.record([make()], (), {**skeleton, **image})
    age(path, "blobs")
    plain = blobs.unreferred

    def slow(connection: Any, before: str) -> set[str]:
        found = plain(connection, before)
        late = make("late", skeleton=next(iter(skeleton)), context=next(iter(context)))
        with Store(path) as other:
            other.record([late], (), context)
        return found

    monkeypatch.setattr(blobs, "unreferred", slow)
    assert store.forget(Scope(trace_id="sha256:0")) == Forgotten()
    assert store.counts().blobs == 3
    assert store.verify() == []


def test_more_traces_than_a_transaction_takes_go_all(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "CHUNK", 7)
    store.add([make(str(n), task="tu"[n % 2]) for n in range(40)])
    seen: list[int] = []
    gone = store.forget(Scope(task="t"), progress=lambda so_far: seen.append(so_far.traces))
    assert gone.traces == 20
    assert seen == [7, 14, 20]
    assert store.counts().traces == 20


@pytest.mark.parametrize("shrink", [True, False])
def test_what_was_forgotten_is_in_no_file(path: Path, make: Make, shrink: bool) -> None:
    with Store(path) as store:
        traces = [make(f"{SECRET} {n} " * 50, subject=f"{SECRET} {n}") for n in range(100)]
        store.add([*traces, make("kept" * 1000)])
        store.attach([Outcome(trace_id=t.id, value=f"{SECRET}", source="gold") for t in traces])
        store.expect(
            [EarlyOutcome(key="correlation", name=SECRET, task="t", correct=True, source="gold")]
        )
        text = f"{SECRET} instructions"
        store.record([make(skeleton=text_hash(text))], (), blob(text))
        age(path, "blobs")
        assert on_disk(path, SECRET)
        store.compact(shrink=False)
        size = path.stat().st_size
        store.forget(Scope(task="t"))
        assert store.compact(shrink=shrink)
        assert not on_disk(path, SECRET)
        assert (path.stat().st_size < size) is shrink
        assert store.verify() == []
    assert not on_disk(path, SECRET)


def test_a_replaced_trace_leaves_no_copy(path: Path, store: Store, make: Make) -> None:
    old = make(f"{SECRET} in clear", task=None)
    store.add([old])
    store.replace([(old.id, make("redacted"))])
    store.compact()
    assert not on_disk(path, SECRET)


def test_a_store_of_the_first_version_is_shrunk_too(path: Path, make: Make) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with Store(path) as store:
        store.add([make("x" * 2000 + str(n)) for n in range(100)])
        store.compact(shrink=False)
        size = path.stat().st_size
        store.forget(Scope(task="t"))
        assert store.compact()
        assert path.stat().st_size < size / 2


def test_a_log_that_is_being_read_is_said_to_stay(path: Path, make: Make) -> None:
    with Store(path, wait_s=0.01) as store:
        store.add([make()])
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM traces").fetchall()
        store.forget(Scope(task="t"))
        assert not store.compact()
        reader.rollback()
        reader.close()
        assert store.compact()


def test_traces_may_be_recorded_meanwhile(path: Path, make: Make) -> None:
    with Store(path) as store:
        store.add([make(f"old {n}", task="u") for n in range(1000)])
        new = [make(f"new {n}") for n in range(100)]

        def write() -> None:
            with Store(path) as other:
                for trace in new:
                    other.add([trace])

        writer = threading.Thread(target=write)
        writer.start()
        assert store.forget(Scope(task="u")).traces == 1000
        store.compact()
        writer.join()
        assert list(store.traces("t")) == new
        assert store.verify() == []

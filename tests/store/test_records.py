from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from limbeck.store.records import read_outcomes
from limbeck.store.rows import read_trace
from limbeck.store.store import Store
from limbeck.types import Outcome, PostHoc, Trace

Make = Callable[..., Trace]


def test_each_trace_comes_once_with_all_that_hangs_on_it(store: Store, make: Make) -> None:
    traces = [make(f"question {n}") for n in range(7)]
    store.add([*traces, make("of another task", task="u")])
    store.attach([Outcome(trace_id=traces[n].id, value=str(n), source="gold") for n in (1, 4, 6)])
    store.explain([PostHoc(trace_id=traces[4].id, rationale=said) for said in ("then", "now")])
    batches = list(store.records("t", batch=3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    records = [record for batch in batches for record in batch]
    assert [record.trace_id for record in records] == [trace.id for trace in traces]
    assert [read_trace(record.content) for record in records] == traces
    assert [len(record.outcomes) for record in records] == [0, 1, 0, 0, 1, 0, 1]
    assert [record.rationale is not None for record in records] == [n == 4 for n in range(7)]
    assert '"now"' in (records[4].rationale or "")


def test_the_outcome_to_believe_is_that_of_truths(store: Store, make: Make) -> None:
    trace = make()
    store.add([trace])
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    said = [
        Outcome(trace_id=trace.id, value="a", source="human", at=late),
        Outcome(trace_id=trace.id, value="b", source="human", at=early),
        Outcome(trace_id=trace.id, value="c", source="downstream", at=late),
    ]
    store.attach(said)
    [[record]] = store.records("t", batch=10)
    assert read_outcomes(record.outcomes) == store.truths("t")[trace.id] == said[0]
    assert read_outcomes(()) is None


def test_a_task_without_traces_has_no_batch(store: Store) -> None:
    assert list(store.records("t", batch=10)) == []

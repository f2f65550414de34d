from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.errors import StoreError
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, Rationale, Trace

Make = Callable[..., Trace]


def test_a_trace_comes_back_as_it_was(store: Store, make: Make) -> None:
    trace = make(
        "Ünïcode \0 and a lone \ud800",
        rationale=Rationale(text="because"),
        answer="b",
        choices=("a", "b"),
        latency_s=0.25,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    )
    assert store.add([trace]) == 1
    assert store.trace(trace.id) == trace
    assert list(store.traces("t")) == [trace]
    assert store.verify() == []


def test_what_is_read_from_the_reply_is_not_kept_beside_it(store: Store, make: Make) -> None:
    reply = make(raw="because\nAnswer: b")
    read = make(raw="because\nAnswer: b", rationale=Rationale(text="because"), answer="b")
    assert read.id == reply.id
    assert store.add([read]) == 1
    assert store.trace(read.id) == reply


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(given_=st.text(), raw=st.none() | st.text(), generator=st.text(), key=st.text())
def test_any_text_keeps_its_name(
    store: Store, given_: str, raw: str | None, generator: str, key: str
) -> None:
    provenance = Provenance(source="gateway", generator=generator, correlation=key)
    trace = Trace(task="any", input=given_, raw=raw, provenance=provenance)
    store.add([trace])
    assert store.trace(trace.id) == trace
    assert store.verify() == []


def test_adding_again_adds_nothing(store: Store, make: Make) -> None:
    traces = [make(str(i)) for i in range(5)]
    assert store.add([*traces, traces[0]]) == 5
    assert store.add(traces) == 0
    assert store.add([make("new"), *traces]) == 1


def test_a_batch_is_kept_whole_or_not_at_all(store: Store, make: Make) -> None:
    trace = make()
    stray = Outcome(trace_id="sha256:0", value="b", source="gold")
    with pytest.raises(StoreError, match="nothing of this batch was written"):
        store.record([trace], [Outcome(trace_id=trace.id, value="a", source="gold"), stray])
    assert store.counts().traces == store.counts().outcomes == 0


def test_traces_come_in_the_order_in_which_they_came_in_batches(store: Store, make: Make) -> None:
    store.add([make(str(i)) for i in range(15)])
    store.add([make("other", task="u"), make("untasked", task=None)])
    store.add([make(str(i)) for i in range(25)])
    inputs = [trace.input for trace in store.traces("t", batch=7)]
    assert inputs == [str(i) for i in range(25)]
    assert [trace.input for trace in store.traces(None)] == ["untasked"]


def test_traces_may_be_added_while_others_are_read(store: Store, make: Make) -> None:
    store.add([make(str(i)) for i in range(10)])
    seen = [
        store.add([make(f"{trace.id} again", task="u")]) for trace in store.traces("t", batch=3)
    ]
    assert seen == [1] * 10


def test_a_trace_is_found_by_each_of_its_keys(store: Store, make: Make) -> None:
    trace = make(request_id="req_1", correlation="ticket-7")
    store.add([trace])
    assert store.find(trace_id=trace.id) == trace.id
    assert store.find(request_id="req_1") == trace.id
    assert store.find(correlation="ticket-7") == trace.id
    assert store.find(correlation="ticket-8") is None


def test_of_two_traces_with_one_key_the_later_is_found(store: Store, make: Make) -> None:
    store.add([make("first", correlation="c")])
    later = make("second", correlation="c")
    store.add([later])
    assert store.find(correlation="c") == later.id


def test_finding_wants_one_key(store: Store) -> None:
    with pytest.raises(ValueError, match="exactly one key"):
        store.find(request_id="a", correlation="b")


def test_the_most_trusted_outcome_wins(store: Store, make: Make) -> None:
    trace = make()
    store.add([trace])
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    human = Outcome(trace_id=trace.id, value="human", source="human", at=early)
    store.attach([human, Outcome(trace_id=trace.id, value="x", source="downstream", at=late)])
    assert store.truths("t") == {trace.id: human}


def test_among_equals_the_latest_wins_and_then_the_last(store: Store, make: Make) -> None:
    trace = make()
    store.add([trace])

    def outcome(value: str, at: datetime | None) -> Outcome:
        return Outcome(trace_id=trace.id, value=value, source="human", at=at)

    timed = outcome("timed", datetime(2026, 1, 1, tzinfo=UTC))
    store.attach([outcome("first", None), outcome("second", None)])
    assert store.truths("t")[trace.id].value == "second"
    store.attach([timed, outcome("untimed", None)])
    assert store.truths("t")[trace.id] == timed
    # A time without a zone is read as UTC, and so it can be compared.
    store.attach([outcome("naive", datetime(2026, 1, 2))])
    assert store.truths("t")[trace.id].value == "naive"


def test_the_same_outcome_twice_is_one(store: Store, make: Make) -> None:
    trace = make()
    store.add([trace])
    outcome = Outcome(trace_id=trace.id, correct=True, source="human")
    assert store.attach([outcome, outcome]) == 1
    assert store.attach([outcome]) == 0
    assert store.counts().outcomes == 1


def test_truths_are_those_of_the_task(store: Store, make: Make) -> None:
    ours, theirs = make(), make(task="u")
    store.add([ours, theirs])
    store.attach([Outcome(trace_id=t.id, value="a", source="gold") for t in (ours, theirs)])
    assert list(store.truths("t")) == [ours.id]


def test_counts_are_by_task(store: Store, make: Make) -> None:
    first = make("1", simulated=True)
    store.add([first, make("2"), make("3", task=None)])
    store.attach([Outcome(trace_id=first.id, value="a", source=s) for s in ("gold", "human")])
    store.put_blob(b"x")
    counts = store.counts()
    assert (counts.traces, counts.outcomes, counts.blobs) == (3, 2, 1)
    assert counts.tasks["t"].model_dump() == {"traces": 2, "with_outcome": 1, "simulated": 1}
    assert counts.tasks[""].traces == 1


def test_a_blob_is_kept_once_under_its_hash(store: Store) -> None:
    name = store.put_blob(b"\0\xff data")
    assert store.put_blob(b"\0\xff data") == name
    assert store.blob(name) == b"\0\xff data"
    assert store.blob("sha256:0") is None
    assert store.counts().blobs == 1


def test_what_was_added_is_there_after_opening_again(path: Path, make: Make) -> None:
    with Store(path) as store:
        store.add([make()])
    with Store(path) as store:
        assert store.counts().traces == 1


def test_threads_write_side_by_side(store: Store, make: Make) -> None:
    def add(worker: int) -> None:
        for i in range(10):
            store.add([make(f"{worker} {i}")])

    workers = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert store.counts().traces == 40


def test_a_killed_process_keeps_every_trace_whose_add_returned(path: Path) -> None:
    program = (
        "import os, sys\n"
        "from limbeck.store.store import Store\n"
        "from limbeck.types import Provenance, Trace\n"
        "store = Store(sys.argv[1])\n"
        "for i in range(50):\n"
        "    trace = Trace(task='t', input=str(i), provenance=Provenance(source='sdk'))\n"
        "    store.add([trace])\n"
        "    os.write(1, trace.id.encode() + b'\\n')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == -9
    acknowledged = run.stdout.split()
    assert len(acknowledged) == 50
    with Store(path) as store:
        assert [trace.id for trace in store.traces("t")] == acknowledged
        assert store.verify() == []


def test_two_processes_may_make_one_store(path: Path) -> None:
    program = "import sys; from limbeck.store.store import Store; Store(sys.argv[1]).close()"
    command = [sys.executable, "-c", program, str(path)]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], errors

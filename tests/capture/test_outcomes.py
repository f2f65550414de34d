from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from limbeck.capture.outcomes import BATCH, attach, attach_outcomes
from limbeck.errors import ImportFileError
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Outcome, Provenance, Routing, Task, Trace

Write = Callable[..., Path]
TASK = Task(name="t", answer=AnswerForm(kind="choice", choices=("yes", "no")))


@pytest.fixture
def trace(store: Store) -> Trace:
    origin = Provenance(source="gateway", request_id="r1", correlation="c1")
    trace = Trace(task="t", input="x", answer="yes", provenance=origin)
    other = Provenance(source="gateway", correlation="other")
    store.add([trace, Trace(task="u", input="x", provenance=other)])
    return trace


def test_each_key_names_a_trace(store: Store, trace: Trace, write: Write) -> None:
    path = write(
        [
            {"trace_id": trace.id, "value": "Yes", "source": "human"},
            {"request_id": "r1", "correct": False},
            {"correlation": "c1", "correct": True, "at": "2026-01-02T03:04:05Z"},
        ]
    )
    result = attach_outcomes(store, TASK, path)
    assert (result.read, result.attached, result.already, result.skipped) == (3, 3, 0, {})
    truth = store.truths("t")[trace.id]
    assert (truth.value, truth.source) == ("yes", "human")
    assert attach_outcomes(store, TASK, path).already == 3


def test_the_outcome_of_an_audited_call_belongs_to_the_reply_that_its_client_got(
    store: Store, write: Write
) -> None:
    drawn = Routing(policy="sha256:p", local=True, audit=True)
    mine, theirs = (
        Trace(
            task="t",
            input="x",
            answer=said,
            provenance=Provenance(source=source, correlation="c2"),
            routing=drawn,
        )
        for source, said in (("student", "yes"), ("gateway", "no"))
    )
    store.add([mine])
    store.add([theirs])
    attach_outcomes(store, TASK, write([{"correlation": "c2", "value": "no"}]))
    assert list(store.truths("t")) == [mine.id]


def test_a_table_with_commas_does_as_well(store: Store, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text('correlation,value,correct\nc1,"no",\nc1,,TRUE\n')
    assert attach_outcomes(store, TASK, path, source="verifier").attached == 2
    assert store.truths("t")[trace.id].source == "verifier"


def test_calls_of_another_task_are_skipped_and_counted(
    store: Store, trace: Trace, write: Write
) -> None:
    path = write([{"correlation": "other", "value": "1"}, {"correlation": "c1", "value": "no"}])
    result = attach_outcomes(store, TASK, path)
    assert (result.read, result.attached, result.waiting) == (2, 1, 0)
    assert result.skipped == {"the trace is of another task (u)": 1}


def test_outcomes_of_calls_that_are_not_recorded_wait_for_them(store: Store, write: Write) -> None:
    path = write([{"correlation": "later", "value": "No"}, {"request_id": "r9", "correct": True}])
    for _ in range(2):
        result = attach_outcomes(store, TASK, path, source="human")
        assert (result.attached, result.already, result.waiting) == (0, 0, 2)
    assert store.counts().early_outcomes == 2
    origin = Provenance(source="gateway", correlation="later")
    ours = Trace(task="t", input="x", answer="yes", provenance=origin)
    theirs = Trace(task="u", input="x", provenance=Provenance(source="sdk", request_id="r9"))
    store.add([ours, theirs])
    assert store.truths("t") == {ours.id: Outcome(trace_id=ours.id, value="no", source="human")}
    # The row says which task it speaks of.
    assert store.truths("u") == {}
    result = attach_outcomes(store, TASK, path, source="human")
    assert (result.already, result.skipped) == (1, {"the trace is of another task (u)": 1})


def test_outcomes_of_calls_without_a_task_wait_until_they_have_one(
    store: Store, write: Write
) -> None:
    origin = Provenance(source="gateway", correlation="c")
    untasked = Trace(task=None, input="x", provenance=origin)
    store.add([untasked])
    path = write([{"trace_id": untasked.id, "value": "yes"}])
    assert attach_outcomes(store, TASK, path).waiting == 1
    tasked = untasked.model_copy(update={"task": "t"})
    assert store.replace([(untasked.id, tasked)]) == 1
    assert [truth.value for truth in store.truths("t").values()] == ["yes"]


def test_a_parquet_file_does_as_well(store: Store, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    at = datetime(2026, 1, 2, tzinfo=UTC)
    columns = {"correlation": ["c1", "c2"], "value": ["no", "yes"], "at": [at, None]}
    pl.DataFrame(columns).write_parquet(path)
    result = attach_outcomes(store, TASK, path)
    assert (result.attached, result.waiting) == (1, 1)
    assert store.truths("t")[trace.id].at == at


def test_many_rows_are_several_transactions(store: Store, write: Write) -> None:
    traces = [
        Trace(task="t", input="x", provenance=Provenance(source="sdk", request_id=f"r{n}"))
        for n in range(BATCH + 20)
    ]
    store.add(traces)
    rows = [{"request_id": f"r{n}", "value": "yes"} for n in range(BATCH + 20)]
    path = write([*rows, {"request_id": "r1", "valu": "no"}])
    with pytest.raises(ImportFileError, match=r"1,000 rows before it were written"):
        attach_outcomes(store, TASK, path)
    write(rows)
    result = attach_outcomes(store, TASK, path)
    assert (result.read, result.attached, result.already) == (BATCH + 20, 20, BATCH)


def test_entries_of_a_program_are_attached_kept_or_refused(store: Store, trace: Trace) -> None:
    entries = [
        {"correlation": "c1", "value": "no", "source": "human"},
        {"request_id": "unknown", "correct": True},
        {"trace_id": "x", "correct": True},
        {"correlation": "c1"},
        "no entry",
        {"correlation": "", "correct": True},
    ]
    results = attach(store, entries)
    assert [result.status for result in results] == [200, 202, 422, 422, 422, 422]
    assert results[0].trace_id == trace.id
    assert results[1].note == "kept until its trace comes"
    assert "x-limbeck-trace-id" in str(results[2].error)
    assert attach(store, entries) == results
    counts = store.counts()
    assert (counts.outcomes, counts.early_outcomes) == (1, 1)


@pytest.mark.parametrize(
    ("said", "doubted"),
    [({"value": "perhaps"}, True), ({"value": "No"}, False), ({"correct": False}, False)],
)
def test_a_value_that_is_no_answer_of_its_task_is_attached_with_a_note(
    store: Store, trace: Trace, said: dict[str, object], doubted: bool
) -> None:
    [result] = attach(store, [{"correlation": "c1", **said}], {"t": TASK})
    assert (result.status, result.trace_id) == (200, trace.id)
    assert ("has not the form of this task's answers" in (result.note or "")) is doubted
    assert store.counts().outcomes == 1


def test_an_outcome_may_come_before_its_trace(store: Store) -> None:
    origin = Provenance(source="gateway", request_id="r", correlation="c")
    trace = Trace(task=None, input="x", provenance=origin)
    sources = zip(
        ("gold", "human", "downstream"), ("trace_id", "request_id", "correlation"), strict=True
    )
    names = {"trace_id": trace.id, "request_id": "r", "correlation": "c"}
    entries = [{key: names[key], "correct": True, "source": said} for said, key in sources]
    assert [result.status for result in attach(store, entries)] == [202, 202, 202]
    assert store.settle() == 0
    store.add([trace])
    assert store.settle() == 3
    assert [result.status for result in attach(store, entries)] == [200, 200, 200]
    counts = store.counts()
    assert (counts.outcomes, counts.early_outcomes) == (3, 0)
    assert store.verify() == []


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"correlation": "c1"}, "neither `value` nor `correct`"),
        (
            {"correlation": "c1", "request_id": "r1", "value": "yes"},
            "wanted exactly one of trace_id",
        ),
        ({"value": "yes"}, "the row names its trace by []"),
        ({"correlation": "c1", "valu": "yes"}, "unknown key 'valu'"),
        ({"correlation": "c1", "value": "maybe"}, "the value 'maybe' has not the form"),
        ({"correlation": "c1", "correct": "perhaps"}, "wanted true or false"),
        (
            {"correlation": "c1", "value": "yes", "source": "me"},
            "the source is 'me'; wanted one of",
        ),
        ({"correlation": "c1", "value": "yes", "at": "soon"}, "the key 'at' is 'soon'"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(
    store: Store, trace: Trace, write: Write, row: dict[str, str], wanted: str
) -> None:
    path = write([{"correlation": "c1", "value": "yes"}, row])
    with pytest.raises(ImportFileError) as caught:
        attach_outcomes(store, TASK, path)
    assert caught.value.line == 2
    assert wanted in str(caught.value)
    assert store.counts().outcomes == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", "the file is empty"), ("correlation,value\nc1,yes,more\n", "more cells than the header")],
)
def test_a_table_that_cannot_be_used_says_so(
    store: Store, tmp_path: Path, text: str, wanted: str
) -> None:
    path = tmp_path / "o.csv"
    path.write_text(text)
    with pytest.raises(ImportFileError, match=wanted):
        attach_outcomes(store, TASK, path)

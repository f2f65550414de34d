from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.capture.outcomes import attach_outcomes
from limbeck.errors import ImportFileError
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Provenance, Task, Trace

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


def test_a_table_with_commas_does_as_well(store: Store, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text('correlation,value,correct\nc1,"no",\nc1,,TRUE\n')
    assert attach_outcomes(store, TASK, path, source="verifier").attached == 2
    assert store.truths("t")[trace.id].source == "verifier"


def test_calls_that_are_not_ours_are_skipped_and_counted(
    store: Store, trace: Trace, write: Write
) -> None:
    path = write(
        [{"correlation": "nobody", "correct": True}, {"correlation": "other", "value": "1"}]
    )
    assert attach_outcomes(store, TASK, path).skipped == {
        "no such trace": 1,
        "the trace is of another task (u)": 1,
    }


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

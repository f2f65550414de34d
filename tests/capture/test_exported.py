from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.exported import Recorded, record, redacted
from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import Imported, Score
from limbeck.capture.redact import Redactor
from limbeck.types import AnswerForm, Price, RedactForm, Task, TeacherSpec, Usage

TASK = Task(
    name="t",
    instruction="Answer yes or no.",
    answer=AnswerForm(kind="choice", choices=("yes", "no")),
    teacher=TeacherSpec(price=Price(input=1.0, output=2.0)),
)
FILE = Path("/logs/rows.jsonl")


def call(user: str = "Is it?", said: str = "yes", system: str = "", **more: Any) -> Imported:
    asked = [{"role": "system", "content": system}] if system else []
    made, body = chat.request([*asked, {"role": "user", "content": user}], model="m")
    read = chat.reply({"role": "assistant", "content": said})
    assert read is not None
    return Imported(call=made, body=body, reply=read[0], **more)


def recorded(one: Imported, task: Task | None = TASK, line: int = 7) -> Recorded:
    made = record(one, task, FILE, line)
    assert isinstance(made, Recorded)
    return made


def test_a_call_with_a_name_of_its_own_is_one_trace_in_every_file() -> None:
    one = call(request_id="r-1", name="row-1")
    other = record(one, TASK, Path("other.jsonl"), 99)
    assert isinstance(other, Recorded)
    assert other.trace.id == recorded(one).trace.id
    assert recorded(one).trace.provenance.file is None


def test_a_call_without_a_name_is_named_by_its_file_and_line() -> None:
    origin = recorded(call()).trace.provenance
    assert (origin.file, origin.row) == ("rows.jsonl", "line 7")
    assert recorded(call(name="a")).trace.provenance.row == "a"


def test_a_data_set_without_instructions_has_those_of_the_task() -> None:
    assert recorded(call()).trace.provenance.skeleton == TASK.skeleton
    said = recorded(call(system="Be brief."))
    assert said.trace.provenance.skeleton != TASK.skeleton
    assert said.trace.provenance.skeleton in said.blobs
    # A log of a provider without a system prompt really had none.
    assert recorded(call(dialect="openai_chat")).trace.provenance.skeleton != TASK.skeleton


def test_an_export_without_a_finish_reason_was_not_cut_off() -> None:
    assert recorded(call()).trace.status == "ok"
    read = chat.reply("yes", finish="length")
    assert read is not None
    made, body = chat.request([{"role": "user", "content": "Is it?"}], model="m")
    cut = recorded(Imported(call=made, body=body, reply=read[0]))
    assert cut.trace.status == "cut_off"


def test_the_cost_is_the_exports_else_the_tasks_price() -> None:
    usage = Usage(input=1_000_000, output=500_000)
    assert recorded(call(usage=usage, cost_usd=0.5)).trace.cost_usd == 0.5
    assert recorded(call(usage=usage)).trace.cost_usd == 2.0
    assert recorded(call()).trace.cost_usd is None
    assert recorded(call(usage=usage, tier="batch")).trace.cost_usd == 1.0


def test_the_time_and_the_person_are_kept() -> None:
    at = datetime(2026, 5, 28, tzinfo=UTC)
    trace = recorded(call(at=at, latency_s=1.5, subject="s", correlation="c", group="g")).trace
    assert (trace.created_at, trace.latency_s, trace.group) == (at, 1.5, "g")
    assert (trace.provenance.subject, trace.provenance.correlation) == ("s", "c")


@pytest.mark.parametrize(
    ("one", "reason"),
    [(call(user=" "), "the input is empty"), (call(said=""), "the reply is empty")],
)
def test_an_empty_side_is_no_trace(one: Imported, reason: str) -> None:
    assert record(one, TASK, FILE, 1) == reason


def test_scores_become_outcomes_or_are_counted() -> None:
    scores = (Score("correct", 1, "human"), Score("tone", 0.3, "verifier"))
    made = recorded(call(scores=scores))
    [outcome] = made.outcomes
    assert (outcome.trace_id, outcome.correct) == (made.trace.id, True)
    assert made.unused == 1


def test_earlier_turns_are_kept_beside_the_trace() -> None:
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Is it?"},
    ]
    made, body = chat.request(turns, model="m")
    read = chat.reply("yes")
    assert read is not None
    kept = recorded(Imported(call=made, body=body, reply=read[0]))
    assert kept.trace.input == "Is it?"
    assert kept.trace.context in kept.blobs


def test_what_must_not_be_stored_is_taken_out_and_the_outcome_follows() -> None:
    made = recorded(call(user="I am jo@example.org", scores=(Score("correct", 1, "human"),)))
    clean = redacted(made, Redactor(RedactForm(kinds=("email",))))
    assert "jo@example.org" not in clean.trace.input
    assert clean.trace.id != made.trace.id
    assert [outcome.trace_id for outcome in clean.outcomes] == [clean.trace.id]

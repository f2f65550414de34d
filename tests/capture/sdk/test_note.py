from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.capture import correlate, outcome, record
from limbeck.capture import task as of_task
from limbeck.capture.reply import reread
from limbeck.errors import ConfigError, StoreError
from limbeck.store.store import Store
from limbeck.types import RedactForm, Task, Trace, Usage
from limbeck.workspace import Workspace

Kept = Callable[[], list[Trace]]


def test_a_reply_is_recorded_as_it_came_and_read_by_the_task(
    tasked: Workspace, task: Task, kept: Kept
) -> None:
    trace_id = record(
        "refunds",
        "12 days",
        reply="In time. Answer: grant",
        model="own-model",
        usage={"input": 1_000_000, "output": 0},
        correlation="order 7",
    )
    [trace] = kept()
    assert trace.id == trace_id
    assert reread(task, trace).answer == "grant"
    assert trace.cost_usd == 3.0
    assert trace.provenance.source == "sdk"
    assert trace.provenance.correlation == "order 7"
    assert trace.provenance.skeleton == task.skeleton
    with Store(tasked.store_url) as store:
        assert store.verify() == []
        assert b"Decide." in (store.blob(task.skeleton) or b"")


def test_an_answer_and_a_rationale_can_be_given_apart(tasked: Workspace, kept: Kept) -> None:
    with correlate("order 8", subject="customer 9"), of_task("refunds"):
        record(None, "40 days", answer="deny", rationale="Too late.", usage=Usage(input=3))
    [trace] = kept()
    assert (trace.task, trace.answer) == ("refunds", "deny")
    assert trace.rationale is not None
    assert trace.rationale.text == "Too late."
    assert (trace.provenance.correlation, trace.provenance.subject) == ("order 8", "customer 9")


def test_a_reply_beside_an_answer_is_refused(tasked: Workspace) -> None:
    with pytest.raises(ValueError, match="got a reply and also answer and rationale"):
        record("refunds", "x", reply="y", answer="z", rationale="w")


def test_a_usage_that_cannot_be_read_is_named(tasked: Workspace, kept: Kept) -> None:
    with pytest.raises(ValueError, match="inptu: extra inputs are not permitted; wanted numbers"):
        record("refunds", "x", reply="y", usage={"inptu": 1})
    assert kept() == []


def test_what_the_task_wants_taken_out_is_taken_out(
    tasked: Workspace, task: Task, kept: Kept
) -> None:
    tasked.write_task(task.model_copy(update={"redact": RedactForm(kinds=("email",))}))
    record("refunds", "from ann@example.org", reply="Answer: grant")
    [trace] = kept()
    assert "ann@example.org" not in trace.content
    assert trace.redacted == {"email": 1}


def test_what_the_workspace_wants_taken_out_is_taken_out_of_every_call(
    tasked: Workspace, kept: Kept
) -> None:
    (tasked.root / "limbeck.toml").write_text('[gateway.redact]\nkinds = ["email"]\n')
    record(None, "from ann@example.org", reply="ok")
    [trace] = kept()
    assert "ann@example.org" not in trace.content


def test_a_task_that_is_not_there_is_refused(tasked: Workspace) -> None:
    with pytest.raises(ConfigError, match="there is no task 'refund'"):
        record("refund", "x", reply="y")


def test_a_store_that_fails_is_said(tasked: Workspace) -> None:
    class Full:
        def append(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"the call was not recorded: .*No space left"):
        record("refunds", "x", reply="y", store=Full())


def test_an_outcome_finds_its_call_by_any_of_its_names(tasked: Workspace) -> None:
    with correlate("order 7"):
        trace_id = record("refunds", "12 days", answer="grant", request_id="req_1")
        assert outcome("grant") == trace_id
    assert outcome(correct=True, request_id="req_1") == trace_id
    assert outcome("deny", trace_id=trace_id, source="gold") == trace_id
    with Store(tasked.store_url) as store:
        assert store.counts().outcomes == 3
        assert store.truths("refunds")[trace_id].value == "deny"


def test_an_outcome_may_come_before_its_call(tasked: Workspace) -> None:
    assert outcome("grant", correlation="order 9") is None
    trace_id = record("refunds", "12 days", answer="grant", correlation="order 9")
    with Store(tasked.store_url) as store:
        store.settle()
        assert store.truths("refunds")[trace_id].value == "grant"


def test_an_outcome_of_no_call_or_of_no_content_is_refused(tasked: Workspace) -> None:
    with pytest.raises(ValueError, match="names of the trace"):
        outcome("grant")
    with pytest.raises(ValueError, match="at least one"):
        outcome(correlation="order 7")

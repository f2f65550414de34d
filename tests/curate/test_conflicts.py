from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from limbeck.curate.conflicts import Conflicts
from limbeck.curate.curate import curate, examine
from limbeck.curate.settings import resolve_settings
from limbeck.types import Outcome, SplitPlan, Task, Trace

Make = Callable[..., Trace]


def test_an_outcome_keeps_the_right_answers_and_the_wrong_ones_go(
    trace: Make, choice_task: Task
) -> None:
    right = [trace(raw=f"It is late {n}.\nAnswer: deny") for n in ("now", "again")]
    wrong = trace(raw="It is fine.\nAnswer: refund")
    truths = {wrong.id: Outcome(trace_id=wrong.id, value="deny", source="human")}
    settings = resolve_settings(choice_task, {"duplicates": {"per_input": 5}})
    examined = examine([*right, wrong], truths, choice_task, settings)
    assert dict(examined.rows.select("trace_id", "reason").iter_rows()) == {
        right[0].id: None,
        right[1].id: None,
        wrong.id: "wrong_answer",
    }
    conflicts = examined.summary.conflicts
    assert (conflicts.inputs, conflicts.traces) == (1, 3)
    assert (conflicts.by_outcome, conflicts.by_checks, conflicts.set_apart) == (1, 0, 0)
    [example] = conflicts.examples
    assert example.answers == {"deny": 2, "refund": 1}
    assert (example.truth, example.truth_source) == ("deny", "human")


def test_without_an_outcome_all_are_set_apart_and_shown(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    traces = [trace(raw=f"It is so.\nAnswer: {said}") for said in ("deny", "refund", "refund ")]
    others = [trace(f"case {n}", raw=f"Yes.\nAnswer: {n}") for n in ("deny", "refund")]
    info = curate([*traces, *others], {}, choice_task, tmp_path)
    conflicts = info.summary.conflicts
    assert (conflicts.inputs, conflicts.traces, conflicts.set_apart) == (1, 3, 1)
    assert info.summary.drops == {"conflicting_truth": {"train": 3}}
    assert any("1 inputs were answered in different ways" in said for said in info.caveats)
    for name in ("card.md", "card.html"):
        card = (info.path / name).read_text()
        assert "set apart" in card
        assert "refund" in card
        assert "2 times" in card


def test_a_reply_that_a_check_found_fault_with_settles_nothing_against_a_clean_one(
    trace: Make, choice_task: Task
) -> None:
    traces = [trace(raw="It is late.\nAnswer: deny"), trace(raw="So deny.\nAnswer: refund")]
    conflicts = examine(traces, {}, choice_task).summary.conflicts
    assert (conflicts.inputs, conflicts.by_checks, conflicts.set_apart) == (1, 1, 0)


def test_answers_that_the_task_takes_for_the_same_are_no_conflict(
    trace: Make, number_task: Task
) -> None:
    task = number_task.model_copy(update={"splits": SplitPlan(train=1, test=0)})
    traces = [trace(raw=f"So it is {said}.\nAnswer: {said}") for said in ("4", "4.0", "$4.00")]
    examined = examine(traces, {}, task)
    assert examined.summary.conflicts == Conflicts()
    assert examined.rows.filter(pl.col("reason") == "conflicting_truth").is_empty()


def test_the_examples_are_few_and_those_set_apart_come_first(
    trace: Make, choice_task: Task
) -> None:
    traces, truths = [], {}
    for n in range(12):
        pair = [trace(f"case {n}", raw=f"Yes {n}.\nAnswer: {said}") for said in ("deny", "refund")]
        traces += pair
        if n % 2:
            truths[pair[0].id] = Outcome(trace_id=pair[0].id, value="deny", source="gold")
    conflicts = examine(traces, truths, choice_task).summary.conflicts
    assert (conflicts.inputs, conflicts.by_outcome, conflicts.set_apart) == (12, 6, 6)
    assert [one.truth for one in conflicts.examples] == [None] * 5

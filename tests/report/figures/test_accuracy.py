from __future__ import annotations

from limbeck.report.figures.accuracy import accuracy
from limbeck.report.summary import TaskSummary


def test_the_title_names_the_recipe_that_beats_the_control(refunds: TaskSummary) -> None:
    title = accuracy("refunds", refunds.evaluation).title
    assert title == "think-first is right on 95.6%, the label-only control on 85.0%"


def test_the_title_says_plainly_when_no_recipe_helps(ledger: TaskSummary) -> None:
    title = accuracy("ledger", ledger.evaluation).title
    assert title == "No recipe is seen to beat the label-only control, right on 23.3%"


def test_without_a_control_nothing_is_claimed(refunds: TaskSummary) -> None:
    arms = tuple(
        arm.model_copy(update={"versus_control": None}) for arm in refunds.evaluation.arms[1:]
    )
    alone = refunds.evaluation.model_copy(update={"arms": arms})
    assert "nothing to compare it with" in accuracy("refunds", alone).title


def test_each_seed_teacher_and_commonest_answer_is_in_the_table(refunds: TaskSummary) -> None:
    rows = {row[0]: row[1:] for row in accuracy("refunds", refunds.evaluation).table.rows}
    assert rows["label (control)"] == ("85.0%", "[79.4%, 89.2%]", "83.5%, 86.4%, 85.0%")
    assert rows["teacher"][0] == "88.8%"
    assert rows["commonest answer"] == ("31.6%", "", "")


def test_students_of_several_bases_are_told_apart(refunds: TaskSummary) -> None:
    arms = refunds.evaluation.arms
    other = arms[0].model_copy(update={"base": "somebody/tiny"})
    both = refunds.evaluation.model_copy(update={"arms": (arms[0], other)})
    names = [row[0] for row in accuracy("refunds", both).table.rows]
    assert names[:2] == ["label · nano (control)", "label · tiny (control)"]

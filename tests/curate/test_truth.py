from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from limbeck.curate.truth import settle
from limbeck.types import Task

Frame = Callable[..., pl.DataFrame]


def settled(
    frame: Frame, task: Task, *rows: dict[str, Any], vote: bool = True
) -> list[tuple[str | None, str | None, bool | None]]:
    made = frame(*({"choices": list(task.answer.choices), **row} for row in rows))
    votes = pl.Series("votes", [vote] * made.height)
    out = settle(made, task, votes)
    return list(out.select("truth", "truth_source", "correct").iter_rows())


def test_without_an_outcome_the_teacher_only_agrees_with_itself(
    choice_task: Task, frame: Frame
) -> None:
    assert settled(frame, choice_task, {"answer": "deny"}) == [("deny", "teacher_agreement", None)]
    assert settled(frame, choice_task, {"answer": "deny"}, vote=False) == [(None, None, None)]
    assert settled(frame, choice_task, {"answer": None}) == [(None, None, None)]


def test_the_truth_of_an_input_holds_for_all_its_traces(choice_task: Task, frame: Frame) -> None:
    found = settled(
        frame,
        choice_task,
        {"answer": "deny", "outcome": "deny", "outcome_source": "human", "correct": True},
        {"answer": "refund"},
        {"answer": None},
    )
    assert found == [("deny", "human", True), ("deny", "human", False), ("deny", "human", False)]


@pytest.mark.parametrize("vote", [True, False])
@pytest.mark.parametrize("answer", ["deny", "refund", None])
@pytest.mark.parametrize("outcome", ["deny", None])
@pytest.mark.parametrize("source", ["human", None])
@pytest.mark.parametrize("correct", [True, False, None])
def test_an_input_that_was_asked_once_has_the_truth_of_one_that_was_asked_twice_alike(
    choice_task: Task,
    frame: Frame,
    vote: bool,
    answer: str | None,
    outcome: str | None,
    source: str | None,
    correct: bool | None,
) -> None:
    row = {"answer": answer, "outcome": outcome, "outcome_source": source, "correct": correct}
    once = settled(frame, choice_task, row, vote=vote)
    assert settled(frame, choice_task, row, row, vote=vote) == once * 2


def test_the_most_trusted_source_wins(choice_task: Task, frame: Frame) -> None:
    found = settled(
        frame,
        choice_task,
        {"answer": "deny", "outcome": "deny", "outcome_source": "downstream", "correct": True},
        {"answer": "deny", "outcome": "refund", "outcome_source": "gold", "correct": False},
    )
    assert found == [("refund", "gold", False)] * 2


def test_equally_trusted_sources_that_disagree_set_the_input_apart(
    choice_task: Task, frame: Frame
) -> None:
    rows = [
        {"answer": "deny", "outcome": label, "outcome_source": "gold", "correct": label == "deny"}
        for label in ("refund", "deny")
    ]
    made = settle(
        frame(*({"choices": list(choice_task.answer.choices), **r} for r in rows)), choice_task
    )
    said = "gold gives one input different answers: 'deny', 'refund'"
    assert made["truth"].to_list() == [None, None]
    assert made["conflict"].to_list() == [said, said]


def test_a_teacher_that_disagrees_with_itself_is_set_apart(choice_task: Task, frame: Frame) -> None:
    found = settled(frame, choice_task, {"answer": "deny"}, {"answer": "refund"})
    assert found == [(None, "teacher_agreement", None)] * 2


def test_an_answer_known_to_be_wrong_lends_no_truth(choice_task: Task, frame: Frame) -> None:
    wrong = {"answer": "deny", "outcome_source": "human", "correct": False}
    assert settled(frame, choice_task, wrong, {"answer": "deny"}) == [
        (None, None, False),
        (None, None, None),
    ]


def test_an_answer_known_to_be_right_is_the_truth(choice_task: Task, frame: Frame) -> None:
    right = {"answer": "deny", "outcome_source": "human", "correct": True}
    assert settled(frame, choice_task, right) == [("deny", "human", True)]


def test_numbers_within_the_tolerance_do_not_disagree(number_task: Task, frame: Frame) -> None:
    form = number_task.answer.model_copy(update={"tolerance": 0.01})
    task = number_task.model_copy(update={"answer": form})
    rows = [
        {"answer": "3.33", "outcome": value, "outcome_source": "gold", "correct": True}
        for value in ("3.333", "3.33")
    ]
    assert settled(frame, task, *rows) == [("3.33", "gold", True)] * 2

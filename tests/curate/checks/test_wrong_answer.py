from __future__ import annotations

from collections.abc import Callable

import polars as pl

from limbeck.curate.checks.wrong_answer import weights
from limbeck.types import Task

Evidence = Callable[..., str | None]
KNOWN = {"outcome": "exchange", "outcome_source": "gold"}


def test_an_answer_that_the_outcome_contradicts_is_caught(
    choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("wrong_answer", choice_task, answer="deny", **KNOWN)
    assert said == "the answer is deny, but gold says exchange"


def test_an_outcome_may_know_only_that_it_is_wrong(choice_task: Task, evidence: Evidence) -> None:
    said = evidence(
        "wrong_answer", choice_task, answer="deny", outcome_source="human", correct=False
    )
    assert said == "the answer is deny, but the outcome says that it is wrong"


def test_a_right_answer_and_an_unknown_truth_pass(choice_task: Task, evidence: Evidence) -> None:
    assert evidence("wrong_answer", choice_task, answer="exchange", **KNOWN) is None
    assert evidence("wrong_answer", choice_task, answer="deny") is None


def test_with_keep_all_wrong_answers_train(choice_task: Task, evidence: Evidence) -> None:
    assert evidence("wrong_answer", choice_task, {"keep": "all"}, answer="deny", **KNOWN) is None


def test_with_keep_proven_an_unknown_truth_is_not_enough(
    choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("wrong_answer", choice_task, {"keep": "proven"}, answer="deny")
    assert said == "no outcome says that the answer is right"
    right = evidence("wrong_answer", choice_task, {"keep": "proven"}, answer="exchange", **KNOWN)
    assert right is None


def test_with_weights_nothing_is_dropped_and_less_is_learned_of_what_is_wrong(
    choice_task: Task, evidence: Evidence
) -> None:
    given = {"keep": "weighted", "wrong": 0.1, "unproven": 0.5}
    assert evidence("wrong_answer", choice_task, given, answer="deny", **KNOWN) is None
    frame = pl.DataFrame({"correct": [True, None, False]})
    assert frame.select(weights(given)).to_series().to_list() == [1.0, 0.5, 0.1]
    assert frame.select(weights({"keep": "all"})).to_series().to_list() == [1.0]

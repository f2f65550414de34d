from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from limbeck.capture.formats.imported import Score
from limbeck.capture.formats.scores import outcome_of
from limbeck.types import AnswerForm, Task

TASK = Task(name="t", answer=AnswerForm(kind="choice", choices=("yes", "no")))
AT = datetime(2026, 5, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "correct"),
    [
        ("correct", True, True),
        ("Is Correct", 0, False),
        ("correctness", "Incorrect", False),
        ("exact-match", 1.0, True),
    ],
)
def test_a_verdict_says_whether_the_answer_was_right(name: str, value: Any, correct: bool) -> None:
    outcome = outcome_of(Score(name, value, "human", AT), "sha256:x", TASK)
    assert outcome is not None
    assert (outcome.correct, outcome.value) == (correct, None)
    assert (outcome.source, outcome.at) == ("human", AT)


def test_an_expected_answer_is_formed_by_the_task() -> None:
    outcome = outcome_of(Score("ground_truth", " YES. ", "human"), "sha256:x", TASK)
    assert outcome is not None
    assert (outcome.value, outcome.correct) == ("yes", None)
    free = outcome_of(Score("expected", " YES. ", "human"), "sha256:x", None)
    assert free is not None
    assert free.value == " YES. "


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("correctness", 0.7),
        ("helpfulness", 1),
        ("expected", "perhaps"),
        ("expected", None),
        ("expected", {"label": "yes"}),
    ],
)
def test_what_says_nothing_of_the_answer_is_no_outcome(name: str, value: Any) -> None:
    assert outcome_of(Score(name, value, "downstream"), "sha256:x", TASK) is None

from __future__ import annotations

from importlib import import_module
from typing import get_args

import pytest

from limbeck.types import AnswerForm, AnswerKind, Task
from limbeck.verify.table import JUDGES, judge, normalize


def test_every_kind_of_answer_has_its_judge() -> None:
    assert set(JUDGES) == set(get_args(AnswerKind))


@pytest.mark.parametrize("module", JUDGES.values())
def test_every_judge_of_the_table_can_be_imported(module: str) -> None:
    found = import_module(module)
    assert callable(found.normalize)
    assert callable(found.judge)


def test_the_choices_of_a_call_win_over_those_of_the_task() -> None:
    task = Task(name="t", answer=AnswerForm(kind="choice", choices=("a cat", "a dog")))
    assert normalize(task, "(b)") == "a dog"
    assert normalize(task, "(b)", ("one", "two")) == "two"
    assert judge(task, "dog", "a dog").score == 1.0


def test_a_number_task_is_judged_by_value() -> None:
    task = Task(name="t", answer=AnswerForm(kind="number", tolerance=0.5))
    assert normalize(task, "$4.00") == "4"
    assert judge(task, "4.4", "4").score == 1.0

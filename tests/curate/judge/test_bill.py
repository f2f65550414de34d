from __future__ import annotations

import pytest

from limbeck.curate.judge.asking import Case
from limbeck.curate.judge.bill import bill
from limbeck.types import Price, Task, TeacherSpec


def test_the_bill_counts_questions_and_a_batch_costs_half(
    choice_task: Task, cases: list[Case]
) -> None:
    teacher = TeacherSpec(model="judge-x", price=Price(input=1, output=10))
    task = choice_task.model_copy(update={"teacher": teacher})
    now, later = (bill(task, cases, "judge-x", batch=batch) for batch in (False, True))
    guess = now.estimate
    assert (now.cases, guess.requests) == (len(cases), 2)
    assert guess.usd == pytest.approx((guess.input_tokens + 10 * guess.output_tokens) / 1e6)
    assert guess.most_usd == pytest.approx(
        (guess.input_tokens + 10 * guess.most_output_tokens) / 1e6
    )
    assert guess.usd is not None
    assert later.estimate.usd == pytest.approx(guess.usd / 2)
    assert bill(choice_task, cases, "nobody-knows-this").estimate.usd is None

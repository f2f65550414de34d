from __future__ import annotations

from limbeck.capture.sandbox.judging import judge
from limbeck.capture.sandbox.tasks import TABLE, load
from limbeck.curate.judge.asking import Case, ask, read_said

TASKS = [load(name) for name in TABLE]


def test_the_simulated_judge_knows_a_right_chain_from_others() -> None:
    task = load("refunds")
    item, other = task.generate(2, seed=4)
    whole = "\n".join(item.steps)
    label = next(one for one in item.choices if one != item.truth)
    cases = [
        Case(item.input, whole, item.truth),
        Case(item.input, whole, label),
        Case(item.input, "\n".join(item.steps[1:]), item.truth),
        Case(item.input, f"the moon is full.\n{whole}", item.truth),
        Case(other.input, "\n".join(other.steps), other.truth),
    ]
    said = judge(ask(task.task(), cases).user, TASKS)
    assert said is not None
    found = read_said(said, [str(n) for n in range(5)], "m")
    assert [one.passes for one in found] == [True, False, False, False, True]
    assert [one.reason for one in found[1:4]] == [
        f"the answer is {item.truth}",
        "steps are missing",
        "step 1 does not follow",
    ]


def test_what_is_no_case_of_its_tasks_is_not_judged() -> None:
    task = load("refunds")
    assert judge(task.generate(1, seed=4)[0].input, TASKS) is None
    assert judge(ask(task.task(), [Case("who?", "nobody.", "deny")]).user, TASKS) is None

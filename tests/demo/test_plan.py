from __future__ import annotations

import pytest

from limbeck.demo.plan import make_plan
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import UsageError


def test_the_default_shows_refunds_with_all_recipes_and_ledger_with_its_control() -> None:
    plan = make_plan("default")
    shown = {task.name: set(task.recipes) for task in plan.tasks}
    assert shown == {
        "refunds": {"label", "multitask", "think-first", "answer-first"},
        "ledger": {"label", "think-first"},
    }


@pytest.mark.parametrize("size", ["quick", "default", "full"])
def test_every_task_of_every_size_has_its_control(size: str) -> None:
    plan = make_plan(size)  # type: ignore[arg-type]
    assert all(CONTROL in task.recipes for task in plan.tasks)


def test_full_runs_all_tasks_with_all_recipes() -> None:
    plan = make_plan("full")
    assert [task.name for task in plan.tasks] == ["refunds", "ledger", "routes"]
    assert all(len(task.recipes) == 4 for task in plan.tasks)


def test_tasks_and_recipes_can_be_chosen() -> None:
    plan = make_plan("default", tasks=("routes",), recipes=("label",), seed=3, calls=500)
    (task,) = plan.tasks
    assert (task.name, task.recipes, task.calls, task.settings.seed) == (
        "routes",
        ("label",),
        500,
        3,
    )


def test_another_plan_has_another_name_and_so_another_workspace() -> None:
    assert make_plan("quick").id == make_plan("quick").id
    assert make_plan("quick").id != make_plan("quick", seed=1).id


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tasks": ("refund",)}, "'refund'"),
        ({"recipes": ("labels",)}, "'labels'"),
        ({"calls": 10}, "10"),
    ],
)
def test_a_wrong_choice_names_what_was_got(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_plan("quick", **wrong)  # type: ignore[arg-type]

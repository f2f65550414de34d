from __future__ import annotations

import pytest

from limbeck.curate.checks.table import CHECKS
from limbeck.curate.settings import resolve_settings
from limbeck.errors import ConfigError
from limbeck.types import Task


def test_every_check_runs_unless_it_is_switched_off(choice_task: Task) -> None:
    task = choice_task.model_copy(update={"checks": {"loop": {"enabled": False}}})
    active = [check.name for check in resolve_settings(task).active()]
    assert active == [name for name in CHECKS if name != "loop"]


def test_a_later_layer_wins_over_the_task_file(choice_task: Task) -> None:
    task = choice_task.model_copy(update={"checks": {"loop": {"repeats": 4, "share": 0.7}}})
    settings = resolve_settings(task, {"loop": {"repeats": "5"}, "duplicates": {"per_input": "3"}})
    assert settings.checks["loop"]["repeats"] == 5
    assert settings.checks["loop"]["share"] == 0.7
    assert settings.duplicates.per_input == 3


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"lop": {}}, "no check 'lop'; wanted 'loop'"),
        ({"loop": {"repeat": 2}}, "has no setting 'repeat'"),
        ({"duplicates": {"per_inptu": 2}}, "duplicates has no setting 'per_inptu'"),
        ({"loop": 3}, "settings of 'loop' are 3; wanted a table"),
    ],
)
def test_what_does_not_exist_is_named(
    layer: dict[str, dict[str, object]], said: str, choice_task: Task
) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve_settings(choice_task, layer)

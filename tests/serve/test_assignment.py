from __future__ import annotations

import pytest

from limbeck.errors import ConfigError
from limbeck.serve.assignment import assign
from limbeck.types import AnswerForm, Task, TeacherSpec

TEXT = AnswerForm(kind="text")
TASKS = {
    "one": Task(name="one", answer=TEXT, teacher=TeacherSpec(model="teacher-1")),
    "two": Task(name="two", answer=TEXT),
}


def test_the_header_counts_more_than_the_path_and_the_path_more_than_the_alias() -> None:
    assigned = assign(TASKS, header="two", path="one", model="limbeck/one")
    assert (assigned.task, assigned.model) == (TASKS["two"], "teacher-1")
    assert assign(TASKS, header=None, path="two", model="limbeck/one").task == TASKS["two"]
    assert assign(TASKS, header=None, path=None, model="limbeck/one").task == TASKS["one"]


def test_a_call_may_belong_to_no_task() -> None:
    assert assign(TASKS, header=None, path=None, model="teacher-1") == (None, None)


def test_an_alias_of_a_task_without_a_teacher_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"set `model = .* under \[teacher\]"):
        assign(TASKS, header=None, path=None, model="limbeck/two")


@pytest.mark.parametrize(
    ("header", "path", "model"),
    [("three", None, "m"), (None, "three", "m"), (None, None, "limbeck/three")],
)
def test_an_unknown_task_is_refused_with_the_known_ones(
    header: str | None, path: str | None, model: str
) -> None:
    with pytest.raises(ConfigError, match=r"task is 'three'; .* \(one, two\)"):
        assign(TASKS, header=header, path=path, model=model)

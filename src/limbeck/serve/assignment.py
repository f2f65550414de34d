"""Which task a call belongs to, and which model the teacher is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from limbeck.errors import ConfigError
from limbeck.types import Task

ALIAS = "limbeck/"


class Assignment(NamedTuple):
    """`model` is set where the client named an alias that the teacher does not know."""

    task: Task | None
    model: str | None


def assign(
    tasks: Mapping[str, Task], *, header: str | None, path: str | None, model: str
) -> Assignment:
    """The task by header, else by path prefix, else by model alias `limbeck/TASK`.

    Raises ConfigError for a task that is not there, and for an alias of a task without a teacher.
    """
    aliased = _find(tasks, model.removeprefix(ALIAS)) if model.startswith(ALIAS) else None
    named = header or path
    task = _find(tasks, named) if named else aliased
    if aliased is None:
        return Assignment(task, None)
    if not aliased.teacher.model:
        raise ConfigError(
            f"model is {model!r}, but the task {aliased.name!r} names no teacher; "
            f'set `model = "..."` under [teacher] in its task file, or name the model in the call'
        )
    return Assignment(task, aliased.teacher.model)


def _find(tasks: Mapping[str, Task], name: str) -> Task:
    if name not in tasks:
        known = ", ".join(sorted(tasks)) or "none yet"
        raise ConfigError(f"task is {name!r}; wanted one of this workspace's tasks ({known})")
    return tasks[name]

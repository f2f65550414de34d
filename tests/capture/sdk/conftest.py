"""A workspace with a task, and a teacher on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.wire.teacher import Teacher, read_wire, running_teacher

from limbeck.capture.sdk.journal import close_journals
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Price, Task, TeacherSpec, Trace
from limbeck.workspace import Workspace


@pytest.fixture(autouse=True)
def journals() -> Iterator[None]:
    """No test writes to the store of another."""
    yield
    close_journals()


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with running_teacher() as made:
        yield made


@pytest.fixture
def wire() -> Callable[[str], bytes]:
    """`wire(name)` is the content of a file of `tests/wire`."""
    return read_wire


@pytest.fixture
def task() -> Task:
    return Task(
        name="refunds",
        instruction="Decide.",
        answer=AnswerForm(kind="choice", choices=("grant", "deny")),
        teacher=TeacherSpec(price=Price(input=3.0, output=15.0, cached=0.3)),
    )


@pytest.fixture
def tasked(workspace: Workspace, task: Task) -> Workspace:
    """A workspace with one task, which is also the current folder."""
    workspace.write_task(task)
    return workspace


@pytest.fixture
def kept(tasked: Workspace) -> Callable[[], list[Trace]]:
    """The traces of the task, then those of none."""

    def read() -> list[Trace]:
        with Store(tasked.store_url) as store:
            return [*store.traces("refunds"), *store.traces(None)]

    return read

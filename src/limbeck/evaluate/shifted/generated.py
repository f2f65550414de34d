"""Fresh items from a task's own generator, plain and shifted; and its solver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limbeck.capture.sandbox.tasks import TABLE, SandboxTask, load
from limbeck.errors import DataError
from limbeck.evaluate.shifted.change import Solver
from limbeck.types import Example, Task
from limbeck.verify.table import judge

NEW_TEMPLATES = "unseen-wording"
_TRIED = 20


def generator_of(task: Task, examples: Sequence[Example]) -> SandboxTask[Any] | None:
    """The generator that made these items; a task is not believed by its name alone."""
    if task.name not in TABLE or not examples:
        return None
    found = load(task.name)
    for example in examples[:_TRIED]:
        try:
            truth = found.solve(example.input).truth
        except DataError:
            return None
        if judge(task, truth, example.truth, example.choices).score != 1.0:
            return None
    return found


def solver_of(generator: SandboxTask[Any] | None) -> Solver | None:
    return None if generator is None else lambda text: str(generator.solve(text).truth)


def fresh(
    generator: SandboxTask[Any], n: int, seed: int, shift: str | None, seen: Sequence[str]
) -> list[Example]:
    """`n` items that are not among `seen`; the same for the same arguments."""
    return [
        Example(
            trace_id=f"{generator.name}-{shift or 'fresh'}-{seed}-{at}",
            input=item.input,
            choices=item.choices,
            rationale="\n".join(item.steps),
            answer=item.truth,
            truth=item.truth,
            group=item.group,
        )
        for at, item in enumerate(generator.generate(n, seed, shift=shift, exclude=set(seen)))
    ]

"""`limbeck review`: what students suggest where the stakes are high, and what a person says of it."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from limbeck.errors import UsageError
from limbeck.serve.review import SHORTEST_NAME, Suggestion, named, settle, waiting
from limbeck.store.store import Store
from limbeck.types import Task
from limbeck.workspace import Workspace


class Whose(StrEnum):
    student = "student"
    teacher = "teacher"


def command(
    trace: Annotated[
        str | None, typer.Argument(help="The call to settle, by the beginning of its hash.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="One task (default: all of high stakes)."),
    ] = None,
    take: Annotated[Whose | None, typer.Option("--take", help="Whose answer is right.")] = None,
    answer: Annotated[
        str | None, typer.Option("--answer", help="The right answer, where neither is.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Calls to list.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the calls that wait for a person, or say what is right of one.

    In a task of high stakes the teacher answers and the student's answer is kept as a suggestion. What a
    person says becomes an outcome of the source `human`, which curation and evaluation believe.
    """
    workspace = Workspace.find()
    tasks = [workspace.task(task)] if task else _of_high_stakes(workspace)
    with Store(workspace.store_url) as store:
        queues = {one.name: waiting(store, one) for one in tasks}
        queue = [suggestion for one in queues.values() for suggestion in one]
        if trace is None:
            if take or answer is not None:
                raise UsageError("--take and --answer say what is right of one call; name it first")
            print(_as_json(queue, limit) if as_json else _table(queue, limit))
            return
        found = named(queue, trace)
        of_task = next(one for one in tasks if one.name == found.task)
        outcome = settle(store, of_task, found, _right(found, take, answer))
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        print(f"right     {outcome.value}")
        print(f"call      {outcome.trace_id}")


def _of_high_stakes(workspace: Workspace) -> list[Task]:
    return [task for task in workspace.tasks() if task.stakes == "high"]


def _right(found: Suggestion, take: Whose | None, answer: str | None) -> str:
    if (take is None) == (answer is None):
        raise UsageError(
            "wanted one of --take student, --take teacher and --answer ANSWER, to say what is right"
        )
    said = found.suggested if take is Whose.student else found.answered
    if answer is None and said is None:
        raise UsageError("the teacher gave no answer in the task's form; use --answer ANSWER")
    return answer if answer is not None else str(said)


def _as_json(queue: list[Suggestion], limit: int) -> str:
    shown = [one.model_dump(mode="json") for one in queue[:limit]]
    return json.dumps({"waiting": len(queue), "calls": shown}, indent=2)


def _table(queue: list[Suggestion], limit: int) -> str:
    if not queue:
        return "nothing waits for review"
    lines = [f"waiting   {len(queue):,}"]
    for one in queue[:limit]:
        name = one.trace_id.removeprefix("sha256:")[: SHORTEST_NAME + 4]
        sure = "" if one.confidence is None else f" ({one.confidence:.0%} sure)"
        lines += [
            "",
            f"{name}  {one.task}",
            f"  input    {' '.join(one.input.split())[:200]}",
            f"  student  {one.suggested}{sure}",
            f"  teacher  {one.answered or 'no answer in form'}",
        ]
    lines += [
        "",
        "settle one with: limbeck review NAME --take student (or teacher), or --answer ANSWER",
    ]
    return "\n".join(lines)

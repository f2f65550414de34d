"""`limbeck rollback`: take a promoted student back."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from limbeck.evaluate.promotion import roll_back
from limbeck.workspace import Workspace


def command(
    task: Annotated[str, typer.Option("--task", "-t", help="Name of the task.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take the newest student of a task out of service. The one before a canary decides all calls again;
    without one the teacher answers. Running gateways follow at once."""
    workspace = Workspace.find()
    left = roll_back(workspace, workspace.task(task).name)
    student = left.student_folder if left is not None else None
    if as_json:
        print(json.dumps({"task": task, "student": student}, indent=2))
    else:
        print(f"task      {task}")
        print(f"student   {student or 'none: the teacher answers'}")

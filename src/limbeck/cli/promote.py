"""`limbeck promote`: make a student the one that serves its task, under its policy."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from limbeck.cli.find import find_student
from limbeck.errors import StudentError
from limbeck.evaluate.policy_file import read_policy
from limbeck.evaluate.promotion import promote
from limbeck.models.local import read_card
from limbeck.types import Policy, Task
from limbeck.workspace import Workspace


def command(
    student: Annotated[
        str, typer.Argument(help="The student: folder, name, or beginning of a name.")
    ],
    canary: Annotated[
        float,
        typer.Option(
            help="The share of calls that it decides at first, as in 0.1; the policy in force decides "
            "the others, until `limbeck monitor --task T --act` or this command without --canary.",
            min=0.001,
            max=1.0,
        ),
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a student serve its task. Running gateways take it over within seconds."""
    workspace = Workspace.find()
    folder = find_student(workspace, student)
    read_card(folder)
    if folder.parent.resolve() != workspace.students.resolve():
        raise StudentError(
            f"the student is in {str(folder.parent)!r}, and gateways look in {workspace.students}; "
            "copy the folder there and promote it by its name"
        )
    policy = read_policy(folder)
    if policy is None:
        raise StudentError(
            f"{folder.name!r} has no policy, so nobody can say when it may answer; fit one first: "
            f"limbeck calibrate {folder.name}"
        )
    if policy.threshold is None:
        raise StudentError(
            f"the policy of {folder.name!r} has no threshold: none kept the share of wrong answers "
            f"at or below {policy.max_risk:.1%}, so the teacher answers everything; calibrate with "
            "more data or a larger --max-risk, or train a better student"
        )
    task = workspace.task(policy.task)
    path = promote(workspace, folder, policy, share=canary)
    notes = in_the_way(task, policy)
    if as_json:
        shown = {
            "task": task.name,
            "student": str(folder),
            "policy": policy.id,
            "file": str(path),
            "share": canary,
            "notes": notes,
        }
        print(json.dumps(shown, indent=2))
        return
    print(f"task      {task.name}")
    print(f"student   {folder.name}")
    print(f"promised  at most {policy.max_risk:.1%} wrong, with confidence {policy.confidence:.1%}")
    if canary < 1:
        print(f"canary    decides {canary:.1%} of the calls")
    for note in notes:
        print(f"! {note}")


def in_the_way(task: Task, policy: Policy) -> list[str]:
    """What in the task file keeps a promoted student from answering."""
    notes = []
    if task.mode != "cascade":
        notes.append(
            f"the task is in mode {task.mode!r}, so the teacher answers; to let the student "
            f'answer, set mode = "cascade" in tasks/{task.name}.toml'
        )
    if task.stakes == "high":
        notes.append("the stakes of the task are high, so the teacher answers every call")
    if task.skeleton != policy.skeleton:
        notes.append(
            "the instruction in the task file is not the one that the student learned; calls with "
            "the new one go to the teacher: curate and distill again"
        )
    return notes

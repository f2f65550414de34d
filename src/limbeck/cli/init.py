"""`limbeck init`: a workspace and a first task file with a reason beside every key."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from limbeck.errors import UsageError
from limbeck.types import AnswerForm, Task
from limbeck.workspace import Workspace


class Kind(StrEnum):
    choice = "choice"
    number = "number"
    text = "text"
    json = "json"


_ANSWER = {
    Kind.choice: """\
kind = "choice"
# The labels. Leave them out if they differ from call to call.
choices = ["yes", "no"]
""",
    Kind.number: """\
kind = "number"
# How far an answer may be from the truth and still be right.
tolerance = 0
""",
    Kind.text: """\
kind = "text"
""",
    Kind.json: """\
kind = "json"
# How far a number in it may be from the truth and still be right.
tolerance = 0
# A JSON Schema: what is not of it is not in form. Without one, any JSON is.
json_schema = { type = "object" }
""",
}

_TASK = """\
# One narrow job that a teacher is paid for. Only [answer] is required.

# What stays the same in every call. A student learns it instead of reading it.
instruction = \"\"\"
Say here what the teacher is told.\"\"\"

# What a wrong answer costs: "low" or "high".
stakes = "low"

# What the gateway does with the calls of this task: "record" keeps them, "off" only passes them on.
mode = "record"

[answer]
{answer}
[reply]
# Where the answer begins in the teacher's reply; the first of these counts, in any case of letters.
answer_markers = ["Answer:"]
# Where it ends.
answer_end = ["\\n"]
# equation = true   # the answer is an arithmetic expression, and its value counts

[teacher]
# model = "the model that is paid today"
# price = {{ input = 3.00, output = 15.00 }}   # USD for a million tokens

# Which key of an imported row feeds what; dots and indexes walk in (messages.0.content).
[rows]
input = "{{input}}"
# reply = "completion"       # the teacher's whole reply, divided as [reply] says
# rationale = "explanation"  # or its parts, where the rows have them apart
# answer = "label"
# truth = "gold"             # the right answer, where it is known
# id = "id"
# group = "customer"         # rows of one group never stand on both sides of a split

# Shares of the distinct inputs.
[splits]
train = 0.7
validation = 0.1
calibration = 0.1
test = 0.1
"""


def command(
    path: Annotated[Path, typer.Argument(help="The folder of the workspace.")] = Path(),
    task: Annotated[str, typer.Option("--task", help="Name of the first task.")] = "first",
    kind: Annotated[Kind, typer.Option("--kind", help="What its answers are.")] = Kind.choice,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a workspace and a first task file. What is already there is kept."""
    try:
        Task(name=task, answer=AnswerForm(kind=kind.value))
    except ValidationError:
        raise UsageError(
            f"--task is {task!r}; wanted lower-case letters, digits, '-' and '_', "
            f"at most 64 of them, such as 'refunds'"
        ) from None
    workspace = Workspace.create(path)
    file = workspace.tasks_folder / f"{task}.toml"
    new = not file.exists()
    if new:
        file.write_text(_TASK.format(answer=_ANSWER[kind]), encoding="utf-8")
    if as_json:
        shown = {"workspace": str(workspace.root), "task_file": str(file), "new": new}
        print(json.dumps(shown, indent=2))
        return
    print(f"workspace  {workspace.root}")
    print(f"task file  {file}{'' if new else '  (was there; kept as it is)'}")
    print(f"next       describe the task in that file, then: limbeck import FILE --task {task}")
    print("           or record live calls: limbeck gateway")

"""A candidate as a task file: ready to be read, with a reason beside what was guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w

from limbeck.capture.discover.candidate import Candidate
from limbeck.errors import ConfigError
from limbeck.models.prices import rates
from limbeck.types import AnswerForm, CallForm, ReplyForm, Task, TeacherSpec
from limbeck.workspace import Workspace, read_task


def task_of(candidate: Candidate, name: str) -> Task:
    """The task that a candidate makes. Raises ValueError where `name` is no name of a task."""
    form = candidate.form
    return Task(
        name=name,
        instruction=candidate.system or candidate.instruction,
        answer=_answer(candidate),
        reply=ReplyForm(
            answer_markers=(form.marker,) if form.marker else (),
            answer_field=form.answer_field,
            rationale_field=form.rationale_field if form.answer_field else None,
        ),
        teacher=TeacherSpec(model=next(iter(candidate.models), "")),
        call=CallForm(template=candidate.template, system=candidate.system),
    )


def write_task_file(workspace: Workspace, candidate: Candidate, name: str) -> Path:
    """Write `tasks/NAME.toml`. Raises ConfigError where there is one already.

    The file is read back as the gateway will read it before it takes its place.
    """
    path = workspace.tasks_folder / f"{name}.toml"
    if path.exists():
        raise ConfigError(
            f"there is a task file {path} already; choose another --name, or remove it first"
        )
    task = task_of(candidate, name)
    workspace.tasks_folder.mkdir(parents=True, exist_ok=True)
    draft = workspace.tasks_folder / f".{name}" / path.name
    draft.parent.mkdir(exist_ok=True)
    try:
        draft.write_text(task_text(candidate, task), encoding="utf-8")
        assert read_task(draft) == task, f"{path} would not be read as it was meant"
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
        draft.parent.rmdir()
    return path


def task_text(candidate: Candidate, task: Task) -> str:
    """The text of the task file."""
    parts = [
        f"# Found by `limbeck discover` as {candidate.id}: {candidate.calls:,} calls"
        f"{_of_days(candidate)}.\n# What was guessed says so; correct it before you rely on it.\n",
        "# What stays the same in every call. A student learns it instead of reading it.\n"
        + _toml(instruction=task.instruction),
        "# What a wrong answer costs: low or high.\n" + _toml(stakes=task.stakes),
        "# What the gateway does with the calls: record keeps them, off only passes them on.\n"
        + _toml(mode=task.mode),
        _answer_section(candidate, task),
        _reply_section(candidate, task),
        _call_section(candidate, task),
        _teacher_section(candidate, task),
    ]
    return "\n".join(part for part in parts if part)


def _of_days(candidate: Candidate) -> str:
    if not (candidate.first and candidate.last):
        return ""
    return f" from {candidate.first:%Y-%m-%d} to {candidate.last:%Y-%m-%d}"


def _answer(candidate: Candidate) -> AnswerForm:
    form = candidate.form
    if form.kind == "json":
        field = next((one for one in form.fields if one.name == form.answer_field), None)
        if field is None or field.kind == "json":
            return AnswerForm(kind="text")
        return AnswerForm(kind=field.kind, choices=tuple(one.text for one in field.labels))
    if form.kind == "unknown":
        return AnswerForm(kind="text")
    return AnswerForm(kind=form.kind, choices=tuple(label.text for label in form.labels))


def _answer_section(candidate: Candidate, task: Task) -> str:
    form = candidate.form
    said = f"# Guessed from {form.replies:,} replies, {form.share:.0%} of which have this form.\n"
    if task.answer.choices:
        shares = ", ".join(f"{label.text} {label.share:.0%}" for label in form.labels)
        said += f"# {shares}\n# Add the labels that may come and did not.\n"
    elif form.kind == "json" and not form.answer_field:
        keys = ", ".join(field.name for field in form.fields)
        said += (
            f"# The replies are JSON with the keys {keys}. Taken whole, they are text; for one key\n"
            "# as the answer, set its kind here and answer_field below.\n"
        )
    elif form.kind == "unknown":
        said = "# Too few replies to guess from.\n"
    values: dict[str, Any] = {"kind": task.answer.kind}
    if task.answer.choices:
        values["choices"] = list(task.answer.choices)
    return f"[answer]\n{said}{_toml(**values)}"


def _reply_section(candidate: Candidate, task: Task) -> str:
    reply = task.reply
    if reply.answer_field:
        said = "# Where the answer stands in a reply that is JSON.\n"
        values: dict[str, Any] = {"answer_markers": [], "answer_field": reply.answer_field}
        if reply.rationale_field:
            values["rationale_field"] = reply.rationale_field
    elif reply.answer_markers:
        said = "# Where the answer begins in the teacher's reply. Guessed.\n"
        values = {"answer_markers": list(reply.answer_markers)}
    else:
        said = (
            "# The whole reply is the answer. Guessed: no words stand before it in most replies.\n"
        )
        values = {"answer_markers": []}
    return f"[reply]\n{said}{_toml(**values)}"


def _call_section(candidate: Candidate, task: Task) -> str:
    said = ""
    if task.call.template is not None:
        said += (
            "# The last user message, with a name in braces where something varies.\n"
            + _toml(template=task.call.template)
            + "# How the student reads the fields; without this, each as a line with its name.\n"
            '# input = "..."\n'
        )
    if task.call.system is not None:
        said += (
            "# The system prompt, with a name in braces for what varies and is no part of the job.\n"
            "# A field that the answer depends on belongs into `input`.\n"
            + _toml(system=task.call.system)
        )
    return f"[call]\n{said}" if said else ""


def _teacher_section(candidate: Candidate, task: Task) -> str:
    model = task.teacher.model
    if len(candidate.models) > 1:
        others = ", ".join(f"{name} ({n:,} calls)" for name, n in candidate.models.items())
        said = f"# Of several: {others}.\n"
    else:
        said = ""
    known = rates(model) if model else None
    price = (
        f"{{ input = {known.input:g}, output = {known.output:g} }}"
        if known
        else "{ input = 3.00, output = 15.00 }"
    )
    why = (
        "the price list has these today; take the sign away to fix them"
        if known
        else "the price list does not know this model; say what it costs"
    )
    return (
        f"[teacher]\n{said}{_toml(model=model)}"
        f"# USD for a million tokens; {why}.\n# price = {price}\n"
    )


def _toml(**values: Any) -> str:
    # In a text of several lines TOML takes a carriage return for a part of the line end.
    return tomli_w.dumps(values, multiline_strings="\r" not in "".join(map(str, values.values())))

"""`limbeck import`: what other tools logged becomes traces."""

from __future__ import annotations

import difflib
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from limbeck.capture.formats.table import AUTO, NAMES, ROWS
from limbeck.capture.importer import ImportResult, Preview, import_file
from limbeck.capture.redact import Redactor, redactor_for
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import ImportMap, RedactForm, Task
from limbeck.workspace import FILE, Workspace, read_values

WIDTH = 240
"""Characters of a text that a dry run shows."""


class Split(StrEnum):
    train = "train"
    validation = "validation"
    calibration = "calibration"
    test = "test"
    shifted = "shifted"


def command(
    file: Annotated[Path, typer.Argument(help="JSON Lines, JSON, CSV (plain or gzip) or Parquet.")],
    task: Annotated[
        str | None,
        typer.Option("--task", help="Whose traces the calls are; without it they are of no task."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"One of {', '.join(NAMES)}.")
    ] = AUTO,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=KEY",
            help="Which key of a row feeds a field, such as reply=teacher.0.raw; may be repeated; "
            "wins over [rows] of the task file.",
        ),
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option("--requests", help="The file that was sent, for the results of a batch."),
    ] = None,
    split: Annotated[
        Split | None, typer.Option("--split", help="Keep all rows to this split.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Stop after so many calls.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the first traces and the counts; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring logs in. A second import of the same file adds nothing twice."""
    if form not in NAMES:
        raise UsageError(f"--format is {form!r}{_close(form)}; wanted one of {', '.join(NAMES)}")
    if mapping and form not in (AUTO, ROWS):
        raise UsageError(f"--map is for rows; wanted --format rows with it, and got {form!r}")
    workspace = Workspace.find()
    of_task = None if task is None else workspace.task(task)
    if mapping and of_task is None:
        raise UsageError("--map needs --task: the rows become traces of a task")
    rows = read_mapping(of_task, mapping) if mapping and of_task else None
    size = file.stat().st_size if file.is_file() else None
    opened = nullcontext(None) if dry_run else Store(workspace.store_url)
    with opened as store, bytes_bar(file.name, size) as progress:
        [bar] = progress.task_ids
        result = import_file(
            store,
            of_task,
            file,
            form=form,
            rows=rows,
            requests=requests,
            split=None if split is None else split.value,
            limit=limit,
            redactor=_redactor(workspace, of_task),
            progress=lambda read, _: progress.update(bar, completed=read),
        )
    if as_json:
        print(result.model_dump_json(indent=2, exclude=None if dry_run else {"shown"}))
    else:
        print(_summary(result, task, dry_run))


def read_mapping(task: Task, mapping: list[str]) -> ImportMap:
    """The mapping of the task file with `FIELD=KEY` pairs put over it; `FIELD=` takes one away.

    Raises UsageError for what is no such pair.
    """
    over: dict[str, str | None] = {}
    for pair in mapping:
        field, equals, key = pair.partition("=")
        if not equals:
            raise UsageError(f"--map is {pair!r}; wanted FIELD=KEY, such as truth=answer")
        if field not in ImportMap.model_fields:
            close = difflib.get_close_matches(field, ImportMap.model_fields, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            raise UsageError(
                f"--map has the field {field!r}{meant}; "
                f"wanted one of {', '.join(ImportMap.model_fields)}"
            )
        if not key and field in ("input", "choice_join"):
            raise UsageError(f"--map is {pair!r}; the field {field!r} cannot be taken away")
        over[field] = key or None
    return ImportMap.model_validate(task.rows.model_dump() | over)


def bytes_bar(name: str, size: int | None) -> Progress:
    """A bar over the bytes of a file; on a stderr that is no terminal it prints nothing."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    bar.add_task(name, total=size)
    return bar


def _close(name: str) -> str:
    close = difflib.get_close_matches(name, NAMES, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _redactor(workspace: Workspace, task: Task | None) -> Redactor | None:
    """What the gateway takes out before it stores a call, an import takes out too."""
    everywhere = read_values(
        RedactForm, workspace.settings.gateway.get("redact", {}), workspace.root / FILE, "redact"
    )
    return redactor_for(everywhere, task.redact if task else RedactForm())


def _summary(result: ImportResult, task: str | None, dry_run: bool) -> str:
    lines = []
    if result.why and result.format != ROWS:
        lines.append(f"format         {result.format}: {result.why}")
    for preview in result.shown:
        lines += ["", *_shown(preview), ""]
    lines += [
        f"rows read      {result.read:>9,}",
        f"new traces     {result.added:>9,}",
        f"already there  {result.already:>9,}",
        f"new outcomes   {result.outcomes:>9,}",
    ]
    if result.unused_scores:
        lines.append(f"other scores   {result.unused_scores:>9,}  say nothing of the answer")
    lines += [f"skipped        {n:>9,}  {reason}" for reason, n in result.skipped.items()]
    if result.unanswered:
        lines.append(f"no answer      {result.unanswered:>9,}  was found; see [reply] of the task")
    if result.other_instructions:
        lines.append(
            f"other prompt   {result.other_instructions:>9,}  have other instructions than the task"
        )
    if dry_run:
        lines.append("nothing was written (--dry-run)")
    elif task is None:
        lines.append("next: limbeck discover")
    else:
        lines.append(f"next: limbeck curate --task {task}")
    return "\n".join(lines)


def _shown(preview: Preview) -> list[str]:
    trace = preview.trace
    rationale = trace.rationale
    thought = rationale.text if rationale else trace.thinking
    parts = [
        ("input", trace.input),
        ("rationale", thought),
        ("reply" if trace.answer is None else "answer", trace.answer or trace.raw),
        ("model", trace.provenance.generator),
    ]
    parts += [
        ("outcome", f"{one.value if one.value is not None else one.correct} ({one.source})")
        for one in preview.outcomes
    ]
    return [f"{name:<10} {_short(text)}" for name, text in parts if text]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."

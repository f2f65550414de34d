"""`limbeck import`: rows of a file become traces of a task."""

from __future__ import annotations

import difflib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from limbeck.capture.importer import ImportResult, import_rows
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import ImportMap, Task
from limbeck.workspace import Workspace


class Split(StrEnum):
    train = "train"
    validation = "validation"
    calibration = "calibration"
    test = "test"
    shifted = "shifted"


def command(
    file: Annotated[Path, typer.Argument(help="JSON Lines, plain or gzip.")],
    task: Annotated[str, typer.Option("--task", help="Whose traces the rows are.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=KEY",
            help="Which key of a row feeds a field, such as reply=teacher.0.raw; may be repeated; "
            "wins over [rows] of the task file.",
        ),
    ] = None,
    split: Annotated[
        Split | None, typer.Option("--split", help="Keep all rows to this split.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Stop after so many rows.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring logs in. A second import of the same file adds nothing twice."""
    workspace = Workspace.find()
    of_task = workspace.task(task)
    rows = read_mapping(of_task, mapping or [])
    size = file.stat().st_size if file.is_file() else None
    with Store(workspace.store_url) as store, bytes_bar(file.name, size) as progress:
        [bar] = progress.task_ids
        result = import_rows(
            store,
            of_task,
            file,
            rows=rows,
            split=None if split is None else split.value,
            limit=limit,
            progress=lambda read, _: progress.update(bar, completed=read),
        )
    print(result.model_dump_json(indent=2) if as_json else _summary(result, of_task))


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


def _summary(result: ImportResult, task: Task) -> str:
    lines = [
        f"rows read      {result.read:>9,}",
        f"new traces     {result.added:>9,}",
        f"already there  {result.already:>9,}",
        f"new outcomes   {result.outcomes:>9,}",
    ]
    lines += [f"skipped        {n:>9,}  {reason}" for reason, n in result.skipped.items()]
    lines.append(f"next: limbeck curate --task {task.name}")
    return "\n".join(lines)

"""`limbeck outcome`: attach what turned out to be true of traces."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from limbeck.capture.outcomes import OutcomeResult, attach_outcomes
from limbeck.cli.import_ import bytes_bar
from limbeck.store.store import Store
from limbeck.workspace import Workspace


class Source(StrEnum):
    gold = "gold"
    human = "human"
    verifier = "verifier"
    downstream = "downstream"
    teacher_agreement = "teacher_agreement"


def command(
    file: Annotated[Path, typer.Argument(help="JSON Lines or CSV, plain or gzip, or Parquet.")],
    task: Annotated[str, typer.Option("--task", help="Whose traces the rows speak of.")],
    source: Annotated[
        Source, typer.Option("--source", help="Who says so, for rows without a source.")
    ] = Source.downstream,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Attach outcomes. Each row has trace_id, request_id or correlation, and value or correct.

    Rows about calls that are not recorded yet are kept until they are.
    """
    workspace = Workspace.find()
    of_task = workspace.task(task)
    size = file.stat().st_size if file.is_file() else None
    with Store(workspace.store_url) as store, bytes_bar(file.name, size) as progress:
        [bar] = progress.task_ids
        result = attach_outcomes(
            store,
            of_task,
            file,
            source=source.value,
            progress=lambda read, _: progress.update(bar, completed=read),
        )
    print(result.model_dump_json(indent=2) if as_json else _summary(result))


def _summary(result: OutcomeResult) -> str:
    lines = [
        f"rows read      {result.read:>9,}",
        f"new outcomes   {result.attached:>9,}",
        f"already there  {result.already:>9,}",
    ]
    if result.waiting:
        lines.append(f"waiting        {result.waiting:>9,}  for calls that are not recorded yet")
    lines += [f"skipped        {n:>9,}  {reason}" for reason, n in result.skipped.items()]
    return "\n".join(lines)

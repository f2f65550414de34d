"""`limbeck store`: what it holds, whether it is still what it says, and how to get it out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from limbeck.capture.exporter import ExportResult, export
from limbeck.cli.given import read_time
from limbeck.cli.working import working
from limbeck.errors import UsageError
from limbeck.serve.settings import GatewaySettings
from limbeck.store.listing import Counts, SkeletonCounts
from limbeck.store.spool import Absorbed, absorb
from limbeck.store.store import Store
from limbeck.workspace import FILE, Workspace, read_values


class Action(StrEnum):
    verify = "verify"
    counts = "counts"
    export = "export"
    absorb = "absorb"


class Form(StrEnum):
    parquet = "parquet"
    jsonl = "jsonl"


def command(
    action: Annotated[
        Action,
        typer.Argument(
            help="verify: re-derive every hash; counts: how much there is; export: one row a trace "
            "into a file; absorb: take in what a gateway spooled while the store failed."
        ),
    ] = Action.counts,
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="With export: the file to write.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="With export: only the traces of this task.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="With export: recorded since then: a date, a time, or an age such as 30d.",
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="With export; by default what the name of the file says."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With export: overwrite the file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count, verify, export or mend what the store holds. Exits with 1 if anything is damaged."""
    exporting = action is Action.export
    if not exporting and (out or task or since or form or force):
        raise UsageError(
            "OUT, --task, --since, --format and --force belong to: limbeck store export"
        )
    workspace = Workspace.find()
    with Store(workspace.store_url) as store:
        if action is Action.counts:
            _counts(store, as_json)
        elif action is Action.absorb:
            _absorb(store, spool_folder(workspace), as_json)
        elif exporting:
            _export(workspace, store, out, task, since, form, force, as_json)
        else:
            _verify(store, as_json)


def spool_folder(workspace: Workspace) -> Path:
    """Where the workspace's gateway puts what the store does not take."""
    given = workspace.settings.gateway
    settings = read_values(GatewaySettings, given, workspace.root / FILE, "gateway")
    return workspace.root / Path(settings.spool).expanduser()


def _counts(store: Store, as_json: bool) -> None:
    counts = store.counts()
    skeletons = {name: store.skeletons(name or None) for name in counts.tasks}
    if not as_json:
        print(_table(counts, skeletons))
        return
    shown = {name: [one.model_dump() for one in of_task] for name, of_task in skeletons.items()}
    print(json.dumps({**counts.model_dump(), "skeletons": shown}, indent=2))


def _table(counts: Counts, skeletons: dict[str, list[SkeletonCounts]]) -> str:
    lines = [f"{'task':<24}{'traces':>10}{'with outcome':>14}{'simulated':>11}{'cost USD':>12}"]
    for name, of in counts.tasks.items():
        costs = [one.cost_usd for one in skeletons[name] if one.cost_usd is not None]
        lines.append(
            f"{name or '(no task)':<24}{of.traces:>10,}{of.with_outcome:>14,}{of.simulated:>11,}"
            f"{f'{sum(costs):,.2f}' if costs else '':>12}"
        )
        # Calls of no task have as many skeletons as there are programs: `limbeck discover` lists them.
        if name:
            lines += _versions(skeletons[name])
    lines.append(f"{counts.traces:,} traces, {counts.outcomes:,} outcomes, {counts.blobs:,} blobs")
    if counts.early_outcomes:
        lines.append(f"{counts.early_outcomes:,} outcomes wait for their trace")
    return "\n".join(lines)


def _versions(skeletons: list[SkeletonCounts]) -> list[str]:
    """The versions of a task's constant part, where there are several: v1 was seen first."""
    named = [one for one in skeletons if one.skeleton is not None]
    if len(named) < 2:
        return []
    return [
        f"  v{number} {(one.skeleton or '').removeprefix('sha256:')[:12]:<{20 - len(str(number))}}"
        f"{one.traces:>10,}  {one.first_at[:10]} to {one.last_at[:10]}"
        for number, one in enumerate(named, 1)
    ]


def _verify(store: Store, as_json: bool) -> None:
    with working("looking at every row"):
        damage = store.verify()
    if as_json:
        print(json.dumps({"store": store.place, "damage": damage}, indent=2))
    elif damage:
        print("\n".join(damage))
    else:
        counts = store.counts()
        print(
            f"{store.place}: {counts.traces:,} traces, {counts.outcomes:,} outcomes and "
            f"{counts.blobs:,} blobs are what their hashes say"
        )
    if damage:
        raise typer.Exit(1)


def _absorb(store: Store, folder: Path, as_json: bool) -> None:
    with working("taking in what was spooled"):
        found = absorb(store, folder)
    print(found.model_dump_json(indent=2) if as_json else _absorbed(found, folder))
    if found.damaged:
        raise typer.Exit(1)


def _absorbed(found: Absorbed, folder: Path) -> str:
    lines = [f"{found.lines:,} traces from {found.files:,} files in {folder} are in the store"]
    if found.halves:
        lines.append(f"{found.halves:,} lines were cut off by a crash; nobody was told of them")
    if found.damaged:
        lines.append(f"{found.damaged:,} damaged lines stay in {folder}, in files named .damaged")
    if found.busy:
        lines.append(f"{found.busy:,} files were in use; run the same command again")
    return "\n".join(lines)


def _export(
    workspace: Workspace,
    store: Store,
    out: Path | None,
    task: str | None,
    since: str | None,
    form: Form | None,
    force: bool,
    as_json: bool,
) -> None:
    if out is None:
        raise UsageError("the file is missing; wanted: limbeck store export traces.parquet")
    tasks = {one.name: one for one in ([workspace.task(task)] if task else workspace.tasks())}
    names: list[str | None] = [task] if task else [name or None for name in store.counts().tasks]
    with working(f"writing {out.name}") as status:
        result = export(
            store,
            tasks,
            names,
            out,
            form=(form or _form_of(out)).value,
            since=None if since is None else read_time("--since", since, datetime.now(UTC)),
            force=force,
            progress=lambda rows: status.update(f"writing {out.name}: {rows:,} rows"),
        )
    print(result.model_dump_json(indent=2) if as_json else _exported(result))


def _form_of(out: Path) -> Form:
    endings = {".parquet": Form.parquet, ".jsonl": Form.jsonl}
    found = endings.get(out.suffix.lower())
    if found is None:
        raise UsageError(f"OUT is {str(out)!r}; wanted a name in .parquet or .jsonl, or --format")
    return found


def _exported(result: ExportResult) -> str:
    lines = [f"{n:>9,}  {name or '(no task)'}" for name, n in sorted(result.tasks.items())]
    return "\n".join([*lines, f"{result.rows:,} traces are in {result.path}"])

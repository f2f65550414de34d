"""`limbeck forget`: delete traces, with all that hangs on them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from limbeck.cli.given import read_span
from limbeck.cli.store import spool_folder
from limbeck.cli.working import working
from limbeck.errors import UsageError
from limbeck.store.forgetting import Forgotten, Scope
from limbeck.store.spool import absorb
from limbeck.store.store import Store
from limbeck.workspace import Workspace

NOTHING = "nothing meets these conditions"


def command(
    task: Annotated[str | None, typer.Option("--task", help="Only traces of this task.")] = None,
    untasked: Annotated[
        bool, typer.Option("--untasked", help="Only the calls of no task.")
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", help="Only what was recorded longer ago: 12h, 90d, 8w, 1y."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="Only what is about this person or customer, by its key."),
    ] = None,
    trace: Annotated[str | None, typer.Option("--trace", help="Only the trace of this id.")] = None,
    expired: Annotated[
        bool,
        typer.Option("--expired", help="What is older than `keep_days` of its task file says."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go, and delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum/--no-vacuum",
            help="Give the space back to the disk; the store is locked meanwhile.",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Delete traces that meet all conditions, with their outcomes, rationales and whatever else no
    other trace needs. Nothing brings them back. Datasets and exports made before are not touched."""
    workspace = Workspace.find()
    now = datetime.now(UTC)
    if expired:
        if untasked or older_than or subject or trace:
            raise UsageError("--expired got a further condition; wanted none but --task")
        scopes = _expired(workspace, task, now)
    else:
        before = now - read_span("--older-than", older_than) if older_than else None
        scopes = [_scope(task, untasked, before, subject, trace)]
    with Store(workspace.store_url) as store:
        if not dry_run:
            # What waits there would come back with the next gateway.
            absorb(store, spool_folder(workspace))
        would = sum((store.would_forget(scope) for scope in scopes), Forgotten())
        if dry_run:
            _check(workspace, task, would)
            print(would.model_dump_json(indent=2) if as_json else _would(would))
            return
        # Where nothing is left, what an earlier run left behind still goes.
        if would != Forgotten() and not yes:
            typer.echo(_would(would), err=True)
            typer.confirm("Delete them? Nothing brings them back", abort=True, err=True)
        gone, clean = _forget(store, scopes, would, vacuum)
    _check(workspace, task, would)
    if as_json:
        print(json.dumps({**gone.model_dump(), "log_is_empty": clean}, indent=2))
        return
    print(_gone(gone) if gone != Forgotten() else NOTHING)
    if not clean:
        print(
            "the database's log was in use and may hold copies until it is next emptied; "
            "run the same command again to make sure"
        )
    copies = sorted(path.name for path in workspace.datasets.glob("*") if path.is_dir())
    if copies:
        print(f"datasets made before still hold what they were made of: {', '.join(copies)}")


def _scope(
    task: str | None,
    untasked: bool,
    before: datetime | None,
    subject: str | None,
    trace: str | None,
) -> Scope:
    try:
        return Scope(task=task, untasked=untasked, before=before, subject=subject, trace_id=trace)
    except ValueError:
        raise UsageError(
            "got no condition, or both --task and --untasked; wanted some of --task (or --untasked), "
            "--older-than, --subject and --trace, or --expired"
        ) from None


def _check(workspace: Workspace, task: str | None, would: Forgotten) -> None:
    """Raises UsageError for a task of which there is neither a trace nor a file: a misspelt name must
    not look like a deletion."""
    if would == Forgotten() and task and not (workspace.tasks_folder / f"{task}.toml").is_file():
        raise UsageError(
            f"{NOTHING}, and there is no task {task!r} in {workspace.tasks_folder}; check the name"
        )


def _expired(workspace: Workspace, task: str | None, now: datetime) -> list[Scope]:
    tasks = [workspace.task(task)] if task else workspace.tasks()
    kept = {one.name: one.keep_days for one in tasks if one.keep_days is not None}
    if not kept:
        raise UsageError(
            "no task file says `keep_days`, so that nothing expires; add it, or use --older-than"
        )
    return [Scope(task=name, before=now - timedelta(days=days)) for name, days in kept.items()]


def _forget(
    store: Store, scopes: list[Scope], would: Forgotten, vacuum: bool
) -> tuple[Forgotten, bool]:
    gone = Forgotten()
    with working("deleting") as status:
        for scope in scopes:
            before = gone.traces
            gone += store.forget(
                scope,
                lambda some, before=before: status.update(  # type: ignore[misc]
                    f"deleting: {before + some.traces:,} of {would.traces:,} traces"
                ),
            )
        status.update("giving the space back" if vacuum else "emptying the log")
        return gone, store.compact(shrink=vacuum)


def _would(would: Forgotten) -> str:
    if would == Forgotten():
        return NOTHING
    return f"would delete: {_said(would)}, and the blobs that no other trace refers to"


def _gone(gone: Forgotten) -> str:
    return f"deleted: {_said(gone)}, {gone.blobs:,} blobs"


def _said(some: Forgotten) -> str:
    said = f"{some.traces:,} traces, {some.outcomes:,} outcomes, {some.rationales:,} rationales"
    return f"{said}, {some.early:,} outcomes that wait for their trace" if some.early else said

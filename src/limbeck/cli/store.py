"""`limbeck store`: what it holds, and whether it is still what it says."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from limbeck.store.listing import Counts
from limbeck.store.store import Store
from limbeck.workspace import Workspace


class Action(StrEnum):
    verify = "verify"
    counts = "counts"


def command(
    action: Annotated[
        Action, typer.Argument(help="verify: re-derive every hash; counts: how much there is.")
    ] = Action.counts,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count or verify what the store holds. Exits with 1 if anything is damaged."""
    workspace = Workspace.find()
    with Store(workspace.store_url) as store:
        if action is Action.counts:
            counts = store.counts()
            print(counts.model_dump_json(indent=2) if as_json else _table(counts))
            return
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


def _table(counts: Counts) -> str:
    lines = [f"{'task':<24}{'traces':>10}{'with outcome':>14}{'simulated':>11}"]
    lines += [
        f"{name or '(no task)':<24}{of.traces:>10,}{of.with_outcome:>14,}{of.simulated:>11,}"
        for name, of in counts.tasks.items()
    ]
    lines.append(f"{counts.traces:,} traces, {counts.outcomes:,} outcomes, {counts.blobs:,} blobs")
    return "\n".join(lines)

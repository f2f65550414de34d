"""`limbeck keys`: who may use a gateway."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from limbeck.cli.given import read_span
from limbeck.errors import UsageError
from limbeck.serve.keys import FILE, ClientKey, create_key, is_usable, read_keys, revoke_key
from limbeck.workspace import Workspace


class Action(StrEnum):
    create = "create"
    list = "list"
    revoke = "revoke"


def command(
    action: Annotated[
        Action,
        typer.Argument(
            help="create: make a key and show its secret once; revoke: close it; list: all of them."
        ),
    ] = Action.list,
    name: Annotated[
        str | None, typer.Argument(help="The key's name: who or what it is for.", metavar="NAME")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="Only calls of this task; may be given several times."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", help="The most calls: 10/s, 600/min, 1000/hour.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="How long it is good: 12h, 90d, 8w, 1y.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make, list and revoke the keys that clients of a gateway show. Running gateways see a change
    within a second."""
    workspace = Workspace.find()
    path = workspace.home / FILE
    now = datetime.now(UTC)
    if action is not Action.create and (task or rate or expires):
        raise UsageError("--task, --rate and --expires belong to: limbeck keys create NAME")
    if action is Action.list:
        if name is not None:
            raise UsageError(f"list takes no name, got {name!r}; wanted: limbeck keys list")
        _show(read_keys(path), now, as_json)
        return
    if name is None:
        raise UsageError(f"the name of the key is missing; wanted: limbeck keys {action} NAME")
    if action is Action.revoke:
        revoked = revoke_key(path, name, now=now)
        print(_as_json(revoked, now) if as_json else f"revoked  {name} (...{revoked.ends})")
        return
    tasks = [workspace.task(one).name for one in task or ()]
    until = _until(now, expires) if expires else None
    secret, key = create_key(path, name, now=now, tasks=tasks, rate=rate, expires_at=until)
    if as_json:
        print(json.dumps({"secret": secret, **json.loads(_as_json(key, now))}, indent=2))
    else:
        print(_created(secret, key))


def _until(now: datetime, expires: str) -> datetime:
    try:
        return now + read_span("--expires", expires)
    except OverflowError:
        raise UsageError(
            f"--expires is {expires!r}, which no calendar reaches; leave it out"
        ) from None


def _created(secret: str, key: ClientKey) -> str:
    return "\n".join(
        [
            f"key      {key.name}",
            f"secret   {secret}",
            "         shown only now: what is kept is a hash of it",
            "clients  ANTHROPIC_API_KEY or OPENAI_API_KEY, in place of the provider's key,",
            "         or the header x-limbeck-client-key beside it",
        ]
    )


def _as_json(key: ClientKey, now: datetime) -> str:
    shown = key.model_dump(mode="json", exclude={"digest"})
    return json.dumps({**shown, "usable": is_usable(key, now)}, indent=2)


def _show(keys: tuple[ClientKey, ...], now: datetime, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"keys": [json.loads(_as_json(key, now)) for key in keys]}, indent=2))
        return
    if not keys:
        print("there are no keys; make one with: limbeck keys create NAME")
        return
    print(f"{'name':<24}{'ends':<6}{'state':<10}{'expires':<12}{'rate':<12}tasks")
    for key in keys:
        expires = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never"
        tasks = ", ".join(key.tasks) or "all"
        print(
            f"{key.name:<24}{key.ends:<6}{_state(key, now):<10}{expires:<12}"
            f"{key.rate or 'no limit':<12}{tasks}"
        )


def _state(key: ClientKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "usable" if is_usable(key, now) else "expired"

"""`limbeck gateway`: the drop-in proxy that records calls by task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import Task
from limbeck.workspace import Workspace


def command(
    host: Annotated[
        str | None, typer.Option(help="The loopback address to listen on (default 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port (default 4100); 0 takes one that is free.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a teacher is: DIALECT=URL, as in anthropic=http://127.0.0.1:4200.",
            metavar="DIALECT=URL",
        ),
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="The workspace (default: the one around this folder).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it listens as one line of JSON.")
    ] = False,
) -> None:
    """Stand between a program and its teacher: the program changes its base URL and nothing else.

    Every call is written down before its reply leaves. Stop it with Ctrl-C.
    """
    from limbeck.serve.gateway import create_app, read_settings
    from limbeck.serve.running import serve

    opened = Workspace.find(workspace)
    above: dict[str, Any] = {}
    if host is not None:
        above["host"] = host
    if port is not None:
        above["port"] = port
    if upstream:
        listed = opened.settings.gateway.get("upstreams", {})
        above["upstreams"] = {**listed, **dict(map(_upstream, upstream))}
    settings = read_settings(opened, above)
    tasks = {task.name: task for task in opened.tasks()}

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"url": url, "tasks": sorted(tasks)}), flush=True)
        else:
            print(_where(url, tasks), flush=True)

    answerer = None
    if any(task.mode == "cascade" for task in tasks.values()):
        # Only here: students need the extra `train`, and recording does not.
        from limbeck.serve.cascade import open_cascade

        answerer = open_cascade(opened)
    with Store(opened.store_url) as store:
        app = create_app(settings, store, tasks, answerer)
        serve(app, settings.host, settings.port, ready)


def _upstream(given: str) -> tuple[str, dict[str, str]]:
    name, equals, url = given.partition("=")
    if not equals or not url:
        raise UsageError(
            f"--upstream is {given!r}; wanted DIALECT=URL, as in anthropic=http://127.0.0.1:4200"
        )
    return name, {"base_url": url}


def _where(url: str, tasks: dict[str, Task]) -> str:
    listed = ", ".join(f"{name} ({task.mode})" for name, task in sorted(tasks.items()))
    example = next(iter(sorted(tasks)), "TASK")
    return "\n".join(
        [
            f"gateway  {url}",
            f"tasks    {listed or 'none yet; make one with: limbeck init --task NAME'}",
            f"clients  ANTHROPIC_BASE_URL={url}/t/{example}",
            f"         OPENAI_BASE_URL={url}/t/{example}/v1",
            f"health   {url}/limbeck/health",
        ]
    )

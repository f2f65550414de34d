"""`limbeck gateway`: the drop-in proxy that records calls by task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.errors import UsageError
from limbeck.workspace import Workspace


def command(
    host: Annotated[
        str | None,
        typer.Option(help="The address to listen on (default 127.0.0.1); others need client keys."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port (default 4100); 0 takes one that is free.")
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a teacher is: NAME=URL, as in anthropic=http://127.0.0.1:4200.",
            metavar="NAME=URL",
        ),
    ] = None,
    top: Annotated[
        bool, typer.Option("--top", help="Show live rates, errors and cost of a running gateway.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="With --top: end after so many readings.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="The workspace (default: the one around this folder).")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Say where it listens as one line of JSON; with --top, a line a second."
        ),
    ] = False,
) -> None:
    """Stand between a program and its teacher: the program changes its base URL and nothing else.

    Every call is written down before its reply leaves. What happens is told on standard error, one JSON
    object a line. SIGTERM and Ctrl-C let the calls on their way end first.
    """
    from limbeck.serve.gateway import open_gateway
    from limbeck.serve.logs import json_lines
    from limbeck.serve.running import serve
    from limbeck.serve.setup import read_settings

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
    if top:
        from limbeck.cli.top import show

        show(settings.host, settings.port, as_json=as_json, count=count)
        return
    modes = {task.name: task.mode for task in opened.tasks()}
    answerer = None
    if {"cascade", "shadow"} & set(modes.values()):
        # Only here: students need the extra `train`, and recording does not.
        from limbeck.serve.cascade import open_cascade

        answerer = open_cascade(opened)
    gateway = open_gateway(opened.root, above, answerer)

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"url": url, "tasks": sorted(modes)}), flush=True)
        else:
            print(_where(url, modes), flush=True)

    with json_lines():
        serve(gateway, settings.host, settings.port, ready)


def _upstream(given: str) -> tuple[str, dict[str, str]]:
    name, equals, url = given.partition("=")
    if not equals or not url:
        raise UsageError(
            f"--upstream is {given!r}; wanted NAME=URL, as in anthropic=http://127.0.0.1:4200"
        )
    return name, {"base_url": url}


def _where(url: str, modes: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name} ({mode})" for name, mode in sorted(modes.items()))
    example = next(iter(sorted(modes)), "TASK")
    return "\n".join(
        [
            f"gateway  {url}",
            f"tasks    {listed or 'none yet; make one with: limbeck init --task NAME'}",
            f"clients  ANTHROPIC_BASE_URL={url}/t/{example}",
            f"         OPENAI_BASE_URL={url}/t/{example}/v1",
            f"health   {url}/limbeck/health",
        ]
    )

"""`limbeck serve`: one student behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from limbeck.cli.find import find_student
from limbeck.errors import UsageError
from limbeck.models.local.card import read_card
from limbeck.workspace import Workspace


def command(
    student: Annotated[str, typer.Argument(help="Its folder, name, or beginning of a name.")],
    host: Annotated[
        str, typer.Option(help="The address to listen on; there are no keys, so loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes one that is free.")] = 4300,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads of the student's process (0: the library decides).")
    ] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Requests that are written at once.")] = 64,
    expose: Annotated[
        bool, typer.Option("--expose", help="Listen on an address that others can reach.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it listens as one line of JSON.")
    ] = False,
) -> None:
    """Serve one student at /v1/chat/completions, /v1/completions and /v1/models.

    A chat's one user message is the input of the task. A completion's prompt is read as it stands,
    control tokens included, with `echo` and `logprobs` for evaluation harnesses. Ctrl-C ends it.
    """
    if host not in ("127.0.0.1", "::1", "[::1]", "localhost") and not expose:
        raise UsageError(
            f"--host is {host!r}, where others may reach the student, and there are no keys; "
            "add --expose if that is meant, or put the student behind limbeck gateway"
        )
    folder = find_student(Workspace.find(), student)
    card = read_card(folder)

    from limbeck.serve.endpoint import open_endpoint
    from limbeck.serve.running import serve

    def ready(url: str) -> None:
        if as_json:
            said = {"url": f"{url}/v1", "model": folder.name, "task": card.task.name}
            print(json.dumps(said), flush=True)
        else:
            print(f"student  {folder.name} ({card.recipe}, task {card.task.name})")
            print(f"url      {url}/v1", flush=True)

    serve(open_endpoint(str(folder), threads, batch), host, port, ready)

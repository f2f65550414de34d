"""`limbeck sandbox`: a simulated teacher on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.tasks import TABLE
from limbeck.errors import UsageError


def command(
    task: Annotated[
        list[str] | None,
        typer.Option(help=f"A task that it knows (default: all of {', '.join(TABLE)})."),
    ] = None,
    port: Annotated[int, typer.Option(help="The port; 0 takes one that is free.")] = 0,
    fault_rate: Annotated[
        float | None,
        typer.Option(help="The share of replies that go wrong (default 0.3); 0 makes it perfect."),
    ] = None,
    latency: Annotated[float, typer.Option(help="Seconds that every reply takes.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Which questions go wrong, and how.")] = 0,
    truth_log: Annotated[
        Path | None,
        typer.Option(help="A JSONL file for the truth about each reply; appended to."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it listens as one line of JSON.")
    ] = False,
) -> None:
    """Run a simulated teacher: it answers the sandbox tasks and is wrong in known ways.

    It speaks the Messages API, Chat Completions, Responses and their batches on loopback, and costs
    nothing. Stop it with Ctrl-C.
    """
    from limbeck.capture.sandbox.server import create_app, question
    from limbeck.serve.running import serve

    names = task or list(TABLE)
    if latency < 0:
        raise UsageError(f"--latency is {latency!r}; wanted 0 or more seconds")
    app = create_app(
        names,
        _rates(fault_rate).model_dump(),
        seed=seed,
        latency_s=latency,
        truth_log=str(truth_log) if truth_log is not None else None,
    )

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"url": url, "tasks": names}), flush=True)
            return
        print(f"simulated teacher  {url}  ({', '.join(names)})")
        print(f"record its calls   limbeck gateway --upstream anthropic={url} \\")
        print(f"                       --upstream openai_chat={url}/v1")
        print(f"a question         {json.dumps(question(names[0]))}", flush=True)

    serve(app, port=port, ready=ready)


def _rates(total: float | None) -> FaultRates:
    if total is None:
        return FaultRates()
    return FaultRates.none() if total == 0 else FaultRates.of_total(total)

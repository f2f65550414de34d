"""`limbeck gateway --top`: the rates, errors and cost of a running gateway, once a second."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator

import urllib3
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from limbeck.errors import LimbeckError, UsageError
from limbeck.serve.live import Now, Reading, TaskNow, compare, read

KEY = "LIMBECK_CLIENT_KEY"
EVERY_S = 1.0
WINDOW = 10
"""Readings over which rates and latencies are taken: those of one second alone jump about."""
ROWS = 15
NUMBERS = 64
"""Characters of a row besides the name of its task."""
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}

Wait = Callable[[float], object]


def show(host: str, port: int, *, as_json: bool, count: int | None = None) -> None:
    """Show what the gateway at that address does, until Ctrl-C or for `count` readings.

    In a terminal this is one screen; else a line for each reading. Raises LimbeckError where no gateway
    answers at first; one that goes away later is waited for.
    """
    url = _url(host, port)
    console = Console(highlight=False)
    # An event that nobody sets: a wait that Ctrl-C ends at once.
    watched = _watch(url, os.environ.get(KEY) or None, count, threading.Event().wait)
    first = next(watched)
    every = itertools.chain([first], watched)
    try:
        if as_json:
            for now in every:
                print(now.model_dump_json(exclude_none=True), flush=True)
        elif not console.is_terminal:
            for now in every:
                print(line(now), flush=True)
        else:
            with Live(
                draw(url, first, console.width), console=console, auto_refresh=False, screen=True
            ) as live:
                for now in every:
                    live.update(draw(url, now, console.width), refresh=True)
    except KeyboardInterrupt:
        return


def _url(host: str, port: int) -> str:
    if port == 0:
        raise UsageError(
            "--port is 0, which says nothing about where the gateway listens; wanted the port that it "
            "named when it started"
        )
    host = ANYWHERE.get(host, host)
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{shown}:{port}"


def _watch(url: str, secret: str | None, count: int | None, wait: Wait) -> Iterator[Now]:
    """A reading a second, each compared with the one ten seconds before it."""
    window: deque[Reading] = deque(maxlen=WINDOW + 1)
    last: Now | None = None
    with urllib3.PoolManager() as pool:
        for number in itertools.count(1):
            try:
                window.append(read(pool, url, secret))
                last = compare(window[0] if len(window) > 1 else None, window[-1])
            except LimbeckError as error:
                if last is None:
                    raise
                window.clear()
                last = last.model_copy(update={"status": "gone", "last_error": str(error)})
            yield last
            if number == count:
                return
            wait(EVERY_S)


# ---- what it looks like -------------------------------------------------------------------------


def draw(url: str, now: Now, width: int) -> RenderableType:
    """One screen; 80 characters are wide enough."""
    total = now.total
    colour = "green" if now.status == "ok" else "red"
    head = Text.assemble(
        ("limbeck gateway ", "bold"),
        f"{now.version}  {url}  up {_span(now.up_s)}  ",
        (now.status, f"bold {colour}"),
    )
    rates = Text(
        f"calls {_rate(total.calls_s)}/s   errors {_rate(total.errors_s)}/s   "
        f"tokens {_rate(total.tokens_s)}/s   {_usd(total.cost_usd_h)}/h   "
        f"{_usd(total.cost_usd)} since start"
    )
    levels = Text.assemble(
        f"streams {now.open_streams}   connections {now.connections}   "
        f"waiting for disk {now.waiting_for_disk}   ",
        (f"spool {now.spooled}", "yellow" if now.spooled else ""),
        "   ",
        (f"lost {now.lost}", "bold red" if now.lost else ""),
    )
    parts: list[RenderableType] = [head, rates, levels, Text(), _table(now, width)]
    if len(now.tasks) > ROWS:
        parts.append(Text(f"and {len(now.tasks) - ROWS} more tasks", style="dim"))
    if total.unpriced:
        said = f"{total.unpriced:,} calls have no known price; give one under [teacher] in the task file"
        parts += [Text(), Text(said, style="yellow")]
    if now.last_error:
        parts += [Text(), Text.assemble(("last error  ", "bold"), now.last_error)]
    parts += [Text(), Text("rates over the last ten seconds; Ctrl-C ends this", style="dim")]
    return Group(*parts)


def _table(now: Now, width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("task", no_wrap=True)
    for name in ("calls/s", "errors/s", "p50", "p95", "tokens/s", "$/h", "$"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in now.tasks[:ROWS]:
        table.add_row(_name(one, width - NUMBERS), *_row(one))
    if not now.tasks:
        table.add_row(Text("no calls yet", style="dim"))
    return table


def _name(one: TaskNow, most: int) -> Text:
    if one.task is None:
        return Text("of no task", style="dim")
    text = Text(one.task)
    text.truncate(max(most, 10), overflow="ellipsis")
    return text


def _row(one: TaskNow) -> list[RenderableType]:
    errors = Text(_rate(one.errors_s), style="red" if one.errors_s else "")
    return [
        _rate(one.calls_s),
        errors,
        _latency(one.p50_s),
        _latency(one.p95_s),
        _rate(one.tokens_s),
        _usd(one.cost_usd_h, sign=""),
        _usd(one.cost_usd, sign="") if one.cost_usd or not one.unpriced else "?",
    ]


def line(now: Now) -> str:
    """The same in one line, for pipes and files."""
    total = now.total
    return (
        f"{now.status}  calls {_rate(total.calls_s)}/s  errors {_rate(total.errors_s)}/s  "
        f"p50 {_latency(total.p50_s)}  p95 {_latency(total.p95_s)}  "
        f"tokens {_rate(total.tokens_s)}/s  {_usd(total.cost_usd_h)}/h  "
        f"{_usd(total.cost_usd)} since start  spool {now.spooled}  lost {now.lost}"
    )


def _rate(value: float | None) -> str:
    if value is None:
        return "-"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):.1f}{letter}"
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def _latency(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _usd(value: float | None, *, sign: str = "$") -> str:
    if value is None:
        return "-"
    if value >= 1000:
        return f"{sign}{value:,.0f}"
    return f"{sign}{value:.2f}" if value >= 0.01 or value == 0 else f"{sign}{value:.4f}"


def _span(seconds: float) -> str:
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{max(int(seconds), 0)} s"

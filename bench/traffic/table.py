"""The result of the bench for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from traffic.findings import Estimate, Finding, Goal
from traffic.peers import NAMES
from traffic.scenarios import SCENARIOS


def show(console: Console, found: Sequence[Finding], reached: Sequence[Goal]) -> None:
    for scenario in SCENARIOS:
        of_it = [one for one in found if one.scenario == scenario.name]
        if of_it:
            console.print(_loads(scenario.what, of_it, streamed=scenario.streamed))
    console.print(_goals(reached))


def _loads(what: str, found: Sequence[Finding], *, streamed: bool) -> Table:
    first_byte = ["first byte +ms"] if streamed else []
    rates, times = ("per s", "least", "most"), ("p50 ms", "p99 ms", "+ms", *first_byte)
    table = _table(what, ["peer", *rates, *times, "CPU µs", "ours ×", "failed"])
    for one in sorted(found, key=lambda one: NAMES.index(one.peer)):
        table.add_row(
            one.peer,
            _number(one.rate.median),
            _number(one.rate.least),
            _number(one.rate.most),
            _median(one.p50_ms),
            _median(one.p99_ms),
            _median(one.added_ms),
            *([_median(one.added_first_byte_ms)] if streamed else []),
            _median(one.cpu_us_per_request),
            _median(one.ours_is_times),
            f"{one.failed:,}",
        )
    return table


def _goals(reached: Sequence[Goal]) -> Table:
    table = _table("goals", ["goal", "wanted", "got", "95 %", "met"])
    words = {True: "yes", False: "no", None: "not measured"}
    for one in reached:
        table.add_row(
            one.goal,
            one.wanted,
            _number(one.got) if one.got is not None else "",
            f"{_number(one.interval[0])} to {_number(one.interval[1])}" if one.interval else "",
            words[one.met],
        )
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for at, heading in enumerate(headings):
        table.add_column(heading, justify="right" if at else "left", no_wrap=True)
    return table


def _median(value: Estimate | None) -> str:
    return _number(value.median) if value is not None else ""


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

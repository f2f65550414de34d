"""`limbeck demo`: the whole loop, offline, on simulated tasks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from limbeck.errors import UsageError

if TYPE_CHECKING:
    from limbeck.demo.plan import Plan
    from limbeck.report.summary import Summary

CHARACTERS_A_TOKEN = 4
REPLY_TOKENS = 120
"""What a reply to a sandbox question takes, roughly; for the estimate of the cost only."""


def command(
    quick: Annotated[bool, typer.Option("--quick", help="One small task, about a minute.")] = False,
    full: Annotated[bool, typer.Option("--full", help="All tasks with all recipes.")] = False,
    seed: Annotated[int, typer.Option(help="Which questions, faults and students.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Students a recipe, each with its seed.")] = 1,
    tasks: Annotated[str, typer.Option(help="Some of refunds, ledger, routes; with commas.")] = "",
    recipes: Annotated[str, typer.Option(help="Some recipes instead of the usual ones.")] = "",
    calls: Annotated[int | None, typer.Option(help="Calls to record for each task.")] = None,
    shift: Annotated[
        bool,
        typer.Option(
            "--shift/--no-shift",
            help="After the fresh calls, change the inputs and see whether the promise notices.",
        ),
    ] = True,
    out: Annotated[Path, typer.Option(help="Where the report and the workspace go.")] = Path(
        "limbeck-demo"
    ),
    teacher: Annotated[
        str | None, typer.Option(help="A real teacher, as anthropic:MODEL or openai:MODEL.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Spend the estimated cost unasked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json at the end.")] = False,
) -> None:
    """Run the whole loop and write a report: capture, curate, distill, evaluate, calibrate, serve, and
    what happens when the calls change.

    Offline and free: a simulated teacher, wrong in known ways, answers over HTTP on loopback. An
    interrupted run continues with the same command.
    """
    from limbeck.demo.loop import run
    from limbeck.demo.plan import make_plan

    if quick and full:
        raise UsageError("--quick and --full exclude each other; give one, or neither")
    plan = make_plan(
        "quick" if quick else "full" if full else "default",
        seed=seed,
        seeds=seeds,
        tasks=_names(tasks),
        recipes=_names(recipes),
        calls=calls,
        teacher=teacher,
        shift=shift,
    )
    console = Console(stderr=True)
    if teacher is not None:
        _agree(plan, console, yes)
    with _Watch(console) as watch:
        summary, page = run(plan, out, watch, shlex.join(["limbeck", *sys.argv[1:]]))
    if as_json:
        print(summary.model_dump_json(indent=1))
        return
    _show(summary, page)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _agree(plan: Plan, console: Console, yes: bool) -> None:
    """Says what a real teacher will cost, and asks; raises `typer.Abort` on a no."""
    from limbeck.capture.sandbox.tasks import PRICE, load
    from limbeck.models.prices import rates
    from limbeck.models.remote import parse_teacher

    assert plan.teacher is not None
    parse_teacher(plan.teacher).close()
    rate = rates(plan.teacher.partition(":")[2], PRICE)
    assert rate is not None
    calls, cost = 0, 0.0
    for task in plan.tasks:
        sandbox = load(task.name)
        sample = sandbox.generate(50, plan.seed)
        read = len(sandbox.instruction) + sum(len(item.input) for item in sample) / len(sample)
        # Fresh calls go to the teacher twice: alone, and behind the cascade at worst.
        n = task.calls + 2 * task.fresh + (task.shift.calls if task.shift else 0)
        calls += n
        cost += n * (read / CHARACTERS_A_TOKEN * rate.input + REPLY_TOKENS * rate.output) / 1e6
    console.print(
        f"This asks {plan.teacher} about {calls:,} questions, for about ${cost:,.2f} at "
        f"${rate.input:g} and ${rate.output:g} for a million tokens read and written.",
        highlight=False,
    )
    if not yes:
        typer.confirm("Spend that?", abort=True, err=True)


class _Watch:
    """Shows the run: a line for each stage that is over, bars for the one under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            transient=True,
        )
        self._parts: dict[str, TaskID] = {}
        self._title = ""

    def __enter__(self) -> _Watch:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bars.stop()

    def begin(self, stage: str, task: str, total: int) -> None:
        self._clear()
        self._title = f"{task}: {stage}" if task else stage
        self._parts[""] = self._bars.add_task(self._title, total=total or None, note="")

    def advance(self, part: str, done: int, total: int, note: str) -> None:
        if part not in self._parts:
            # Parts of a stage have bars of their own; the stage's would only stand still above them.
            first = self._parts.pop("", None)
            if first is not None:
                self._bars.remove_task(first)
            title = self._title if part == "calls" else f"  {part}"
            self._parts[part] = self._bars.add_task(title, total=total, note=note)
        self._bars.update(self._parts[part], completed=done, total=total, note=note)

    def end(self, stage: str, task: str, seconds: float, note: str) -> None:
        self._clear()
        title = f"{task}: {stage}" if task else stage
        self._console.print(f"[green]✓[/] {title:<20} {seconds:6.1f} s  {note}", highlight=False)

    def _clear(self) -> None:
        for part in self._parts.values():
            self._bars.remove_task(part)
        self._parts = {}


def _show(summary: Summary, page: Path) -> None:
    from limbeck.report.shift_story import in_short

    console = Console()
    table = Table(title="Verified accuracy on the test split", title_justify="left")
    for column in ("task", "recipe", "accuracy", "95 % interval", "against label-only", "verdict"):
        table.add_column(column, justify="right" if column == "accuracy" else "left")
    for task in summary.tasks:
        found = task.evaluation
        if found.teacher is not None:
            span = found.teacher.interval
            table.add_row(
                task.task, "teacher", f"{found.teacher.accuracy:.1%}", _span(span.low, span.high)
            )
        for arm in found.arms:
            versus = arm.versus_control
            table.add_row(
                task.task,
                arm.recipe,
                f"{arm.accuracy:.1%}",
                _span(arm.interval.low, arm.interval.high),
                f"{versus.difference * 100:+.1f} points" if versus else "the control",
                versus.verdict if versus else "",
            )
        table.add_section()
    console.print(table)
    for task in summary.tasks:
        for finding in task.findings:
            console.print(f"{task.task}: {finding}", highlight=False, markup=False)
        if task.shift is not None and task.calibration is not None:
            told = in_short(task.shift, task.calibration.policy.max_risk)
            said = f"{task.task}, when the calls changed: {told}"
            console.print(said, highlight=False, markup=False)
    console.print()
    console.print(
        f"took     {summary.seconds:.0f} s, largest process {summary.peak_memory_mb:,.0f} MB"
    )
    console.print(f"numbers  {page.parent / 'summary.json'}", soft_wrap=True, highlight=False)
    console.print(f"report   {page}", soft_wrap=True, highlight=False)


def _span(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}"

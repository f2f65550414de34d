"""`limbeck assess`: is this task worth distilling, and how much data is missing?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from limbeck.cli.given import settle
from limbeck.curate.assess.assess import assess
from limbeck.curate.assess.decide import counts, points, share, usd
from limbeck.curate.assess.findings import (
    Assessment,
    Baseline,
    Chains,
    Cost,
    Labels,
    Stability,
    TeacherWord,
    Volume,
)
from limbeck.curate.assess.intake import Told
from limbeck.curate.assess.settings import AssessSettings
from limbeck.store.store import Store
from limbeck.workspace import Workspace

VERDICTS = {"go": "go", "wait": "wait for {more:,} more labelled calls", "dont": "don't"}


def command(
    task: Annotated[str, typer.Option("--task", "-t", help="Name of the task.")],
    monthly_cost: Annotated[
        float | None,
        typer.Option("--monthly-cost", min=0, help="USD a month to serve the student."),
    ] = None,
    one_off_cost: Annotated[
        float | None, typer.Option("--one-off-cost", min=0, help="USD to get there, once.")
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option("--coverage", min=0, max=1, help="Share of the calls the student answers."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, such as target=0.95.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether a task is worth distilling, and how much is missing, from its traces alone. Nothing is
    changed, sent or trained."""
    workspace = Workspace.find()
    spec = workspace.task(task)
    flags = {"monthly_cost": monthly_cost, "one_off_cost": one_off_cost, "coverage": coverage}
    given = [f"{key}={value}" for key, value in flags.items() if value is not None]
    settings = settle(AssessSettings, workspace, "assess", [*(set_ or []), *given])
    with Store(workspace.store_url) as store:
        counts = store.counts().tasks.get(task)
        with _bar(counts.traces if counts else 0) as told:
            found = assess(
                store.traces(task),
                store.truths(task),
                spec,
                settings,
                told,
                store.rationales(task),
            )
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    console = Console()
    for line in _lines(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _bar(traces: int) -> Iterator[Told]:
    """A bar over what is done; on a stderr that is no terminal it prints nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        shown = bar.add_task("reading traces", total=traces)

        def told(what: str, done: int) -> None:
            # What is no count of traces has an end that only its own part knows.
            total = traces if what == "reading traces" else None
            bar.update(shown, description=what, completed=done, total=total)

        yield told


def _lines(assessed: Assessment) -> Iterator[str]:
    found, decision = assessed.findings, assessed.decision
    yield from _volume(found.volume, found.cost)
    money = found.break_even
    if money is not None:
        months = "never" if money.months is None else f"{money.months:.1f} months"
        settings = assessed.settings
        yield (
            f"break-even  {months}: saves {usd(money.saved)} a month at {settings.coverage:.0%} local, "
            f"costs {usd(settings.monthly_cost)} a month and {usd(settings.one_off_cost)} once"
            + ("" if counts(found, settings) else "; too few days to decide by")
        )
    yield from _labels(found.labels, found.teacher)
    yield from _baseline(found.baseline)
    yield from _stability(found.stability)
    yield from _chains(found.chains, found.volume.calls)
    for note in decision.notes:
        yield f"note        {note}"
    yield ""
    yield VERDICTS[decision.verdict].format(more=decision.more)
    for reason in decision.reasons:
        yield f"  {reason}"


def _volume(volume: Volume, cost: Cost) -> Iterator[str]:
    span = (
        f" from {volume.first:%Y-%m-%d} to {volume.last:%Y-%m-%d}"
        if volume.first and volume.last
        else ""
    )
    month = "?" if volume.month is None else f"{volume.month:,.0f}"
    trend = f", {share_change(volume.trend.value)} a month" if volume.trend else ""
    yield f"calls       {volume.calls:,}{span}; {month} a month{trend}"
    if volume.students:
        yield f"            and {volume.students:,} replies of students, left out"
    if cost.a_call is not None:
        a_call = cost.a_call
        month = f"; {usd(cost.a_month.value)} a month" if cost.a_month else ""
        yield f"cost        ${a_call.value:.5f} a call{month} (of {_priced(cost)} calls)"
    else:
        yield "cost        ?"


def _priced(cost: Cost) -> str:
    kinds = {"recorded": cost.recorded, "priced": cost.priced, "estimated": cost.estimated}
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)


def share_change(change: float) -> str:
    """`+12%` a month."""
    return f"{change:+.0%}"


def _labels(labels: Labels, teacher: TeacherWord) -> Iterator[str]:
    whose = "outcomes" if labels.source == "outcome" else "the teacher's word"
    yield (
        f"labels      {labels.inputs:,} different inputs by {whose}; {labels.distinct:,} answers, "
        f"{labels.entropy_bits:.2f} bits"
    )
    if labels.majority is not None:
        yield f"            the most frequent one gets {share(labels.majority)}"
    by_source = ", ".join(f"{name} {n:,}" for name, n in teacher.by_source.items())
    yield f"outcomes    {teacher.with_outcome:,} calls{f' ({by_source})' if by_source else ''}"
    if teacher.right is not None:
        yield f"            the teacher is right in {share(teacher.right)}"
    if teacher.agreement is not None:
        yield (
            f"repeats     {teacher.repeated:,} inputs were asked again; the same answer in "
            f"{share(teacher.agreement)}"
        )


def _baseline(baseline: Baseline) -> Iterator[str]:
    if baseline.accuracy is None:
        yield f"linear      none: {baseline.why_not}"
        return
    yield f"linear      {share(baseline.accuracy)} by TF-IDF, {baseline.inputs:,} inputs sampled"
    curve = ", ".join(f"{p.labelled:,}: {p.accuracy.value:.1%}" for p in baseline.points)
    yield f"            by labels  {curve}"
    if baseline.doubling is not None:
        yield f"            twice the labels would gain {points(baseline.doubling)}"
    needed = baseline.needed
    if needed is not None:
        more = "out of reach" if needed.more is None else f"{needed.more:,} more labels"
        ends = ["out of reach" if end is None else f"{end:,}" for end in (needed.low, needed.high)]
        interval = "" if ends[0] == ends[1] == "out of reach" else f" ({ends[0]} to {ends[1]})"
        yield f"            for {needed.accuracy:.1%}: {more}{interval}"


def _stability(stability: Stability) -> Iterator[str]:
    if stability.weeks:
        worst = max(stability.weeks, key=lambda week: max(week.length, week.topics))
        drifted = sum(week.drifted for week in stability.weeks)
        yield (
            f"stability   {drifted} of {len(stability.weeks)} weeks with other inputs than before; worst "
            f"PSI {worst.length:.2f} of length, {worst.topics:.2f} of topics ({worst.start:%Y-%m-%d})"
        )
    if stability.skeletons > 1:
        yield f"            {stability.skeletons:,} versions of the instructions"


def _chains(chains: Chains | None, calls: int) -> Iterator[str]:
    if chains is None:
        yield "chains      none"
        return
    yield (
        f"chains      {chains.with_chain / calls:.0%} of the calls have one; {share(chains.program)} of "
        f"their sentences are program-like"
    )
    numbers = (
        ""
        if chains.numbers_from_input is None
        else f", {chains.numbers_from_input:.0%} of the numbers"
    )
    right = f", {chains.steps_right:.0%} of them right" if chains.steps_right is not None else ""
    yield (
        f"            {chains.words_from_input:.0%} of the words stand in the input{numbers}; "
        f"{chains.steps:.1f} checkable steps a chain{right}"
    )
    yield (
        f"            {chains.templated:.0%} of the sentences are templates; {chains.half:,} make half "
        "of all"
    )

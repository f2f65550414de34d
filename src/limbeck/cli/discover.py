"""`limbeck discover`: from a month of mixed calls to a list of candidates, and to a task file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from textwrap import indent
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from limbeck.capture.discover.answers import FormGuess
from limbeck.capture.discover.candidate import Candidate, cut
from limbeck.capture.discover.census import Progress as Told
from limbeck.capture.discover.claim import claim
from limbeck.capture.discover.discover import MIN_CALLS, Discovery, Found, discover
from limbeck.capture.discover.task_file import task_of, write_task_file
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.workspace import Workspace


class Order(StrEnum):
    cost = "cost"
    calls = "calls"


def command(
    show: Annotated[
        str | None, typer.Option("--show", metavar="GROUP", help="Everything about one group.")
    ] = None,
    write: Annotated[
        str | None,
        typer.Option("--write", metavar="GROUP", help="Write a task file for this group."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="With --write: the name of the task.")
    ] = None,
    claims: Annotated[
        bool,
        typer.Option("--claim", help="With --write: give the calls of the group to the task."),
    ] = False,
    min_calls: Annotated[
        int, typer.Option("--min-calls", min=1, help="Leave out groups with fewer calls.")
    ] = MIN_CALLS,
    top: Annotated[int, typer.Option("--top", min=1, help="List so many groups.")] = 20,
    by: Annotated[Order, typer.Option("--by", help="What the list is ordered by.")] = Order.cost,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Group the calls of no task by what stays the same in them: candidates for a task, the costliest
    first. Nothing is changed without --write."""
    if (write is None) != (name is None) or (claims and write is None) or (show and write):
        raise UsageError(
            "got a part of --write GROUP --name NAME [--claim], or --show beside it; "
            "wanted --write and --name together, or --show alone"
        )
    workspace = Workspace.find()
    with Store(workspace.store_url) as store:
        with calls_bar("reading calls") as told:
            found = discover(
                store, workspace.tasks(), min_calls=min_calls, by=by.value, progress=told
            )
        if write is not None and name is not None:
            _write(workspace, store, found, found.candidate(write), name, claims, as_json)
        elif show is not None:
            one = found.candidate(show)
            print(one.model_dump_json(indent=2) if as_json else "\n".join(_details(one)))
        else:
            shown = found.found.model_copy(update={"candidates": found.found.candidates[:top]})
            print(
                shown.model_dump_json(indent=2) if as_json else "\n".join(_list(shown, found.found))
            )


@contextmanager
def calls_bar(text: str) -> Iterator[Told]:
    """A bar over calls; on a stderr that is no terminal it prints nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        shown = bar.add_task(text, total=None)
        yield lambda done, of: bar.update(shown, completed=done, total=of)


def _write(
    workspace: Workspace,
    store: Store,
    found: Discovery,
    one: Candidate,
    name: str,
    claims: bool,
    as_json: bool,
) -> None:
    try:
        task_of(one, name)
    except ValidationError:
        raise UsageError(
            f"--name is {name!r}; wanted lower-case letters, digits, '-' and '_', "
            f"at most 64 of them, such as 'refunds'"
        ) from None
    path = workspace.tasks_folder / f"{name}.toml"
    # A claim that was interrupted goes on with the file that it wrote.
    new = not (claims and path.exists())
    if new:
        write_task_file(workspace, one, name)
    said: dict[str, Any] = {"group": one.id, "task_file": str(path), "new": new}
    if claims:
        with calls_bar("moving calls") as told:
            moved = claim(store, workspace.task(name), found.groups[one.id], found.census, told)
        said |= {"claimed": moved.calls, "unmatched": moved.unmatched}
    if as_json:
        print(json.dumps(said, indent=2))
        return
    print(f"task file  {path}{'' if new else '  (was there; kept as it is)'}")
    if claims:
        print(f"claimed    {moved.calls:,} calls, {moved.unmatched:,} of which do not match [call]")
        print(f"next       read the task file, then: limbeck curate --task {name}")
    else:
        again = f"limbeck discover --write {one.id} --name {name} --claim"
        print(f"next       read the task file; give it the calls with: {again}")


# ---- what is printed ----------------------------------------------------------------------------


def _list(shown: Found, found: Found) -> Iterator[str]:
    if not found.calls:
        yield "there are no calls without a task; record some with: limbeck gateway"
        return
    if shown.candidates:
        yield f"{'group':<8}{'calls':>9}{'a day':>8}{'cost':>10}{'a month':>10}  {'answer':<26}asked"
    for one in shown.candidates:
        yield (
            f"{one.id:<8}{one.calls:>9,}{_rate(one.day):>8}{_usd(one.cost_usd):>10}"
            f"{_usd(one.month_usd):>10}  {cut(_answer(one.form), 25):<26}{cut(one.prompt, 60)}"
        )
    more = len(found.candidates) - len(shown.candidates)
    if more:
        yield f"and {more:,} more; list them with --top {len(found.candidates)}"
    if found.candidates:
        yield ""
    wide = sum(one.calls for one in found.wide)
    within, wide = (sum(one.calls for one in of) for of in (found.candidates, found.wide))
    yield (
        f"{_n(found.calls, 'call')} of no task: {within:,} in "
        f"{_n(len(found.candidates), 'candidate')}, {wide:,} in {_n(len(found.wide), 'group')} "
        f"without a narrow job, {found.rest:,} in none ({_n(found.small, 'group')} too small)"
    )
    if shown.candidates:
        first = shown.candidates[0].id
        yield f"next: limbeck discover --show {first}"


def _details(one: Candidate) -> Iterator[str]:
    yield f"group      {one.id}{'' if one.narrow else '  (no narrow job)'}"
    yield f"calls      {one.calls:,}{_span(one.first, one.last)}, {_rate(one.day)} a day"
    known = f" ({one.priced:.0%} of the calls have a price)" if one.priced < 1 else ""
    yield f"cost       {_usd(one.cost_usd)}, {_usd(one.month_usd)} a month at this rate{known}"
    yield f"models     {', '.join(f'{name} {n:,}' for name, n in one.models.items())}"
    yield f"answer     {_answer(one.form)}, {one.form.share:.0%} of {one.form.replies:,} replies"
    for label in one.form.labels:
        yield f"           {label.share:>6.1%}  {label.text}"
    for field in one.form.fields:
        yield f"           {field.share:>6.1%}  {field.name}: {field.kind}"
    if one.form.marker:
        yield f"           after {one.form.marker!r}"
    yield (
        f"rationale  {one.form.native:.0%} with thinking, "
        f"{one.form.explained:.0%} with words before the answer"
    )
    tools = "with tools" if one.has_tools else "no tools"
    yield f"shape      {tools}, {one.multi_turn:.0%} of several turns, {one.failed:.0%} failed"
    if one.like:
        yield f"like       the task {one.like!r}: this may be a version of it"
    yield from _prompts(one)
    for number, example in enumerate(one.examples, start=1):
        yield f"\nexample {number}  {example.trace_id}"
        yield indent(example.input, "    > ", lambda _: True)
        yield indent(example.reply, "    < ", lambda _: True)


def _prompts(one: Candidate) -> Iterator[str]:
    if len(one.versions) > 1 or one.skeletons > 1:
        yield f"versions   {len(one.versions):,} (with dates and numbers: {one.skeletons:,})"
    for number, version in enumerate(one.versions if len(one.versions) > 1 else (), start=1):
        changed = f"  {version.changed}" if version.changed else ""
        yield f"           v{number}: {version.calls:,} calls{_span(version.first, version.last)}{changed}"
    for title, text in (("system", one.system or one.instruction), ("user", one.template)):
        if text:
            yield f"{title}\n{indent(cut(text, 2000), '    ')}"


def _answer(form: FormGuess) -> str:
    if form.kind == "choice":
        return f"choice of {len(form.labels)} ({form.entropy_bits or 0.0:.1f} bits)"
    if form.kind == "json":
        return f"json ({', '.join(field.name for field in form.fields)})"
    if form.kind == "text":
        return f"text ({form.characters:,} characters)"
    return form.kind


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _span(first: datetime | None, last: datetime | None) -> str:
    return f" from {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first and last else ""


def _rate(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _usd(value: float | None) -> str:
    return "?" if value is None else f"${value:,.2f}"

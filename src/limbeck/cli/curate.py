"""`limbeck curate`: from the traces of a task to a dataset, with a reason for every drop."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from limbeck.cli.judging import Judge, Judged, judge_kept, lines, opinions_of, unjudged
from limbeck.curate.chain import excerpt
from limbeck.curate.contamination import read_evaluation
from limbeck.curate.curate import examine_records, write
from limbeck.curate.dataset import DatasetInfo, read_dataset
from limbeck.curate.diff import Difference, diff, find_dataset
from limbeck.curate.engine import open_engine
from limbeck.curate.examination import Examination
from limbeck.curate.explain import Explanation, explain
from limbeck.curate.frame import Progress as Report
from limbeck.curate.refusal import refusal
from limbeck.curate.settings import resolve_settings
from limbeck.curate.sources import PAGE
from limbeck.curate.summary import Summary
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import SplitPlan, Task
from limbeck.workspace import Workspace

_SHOWN = 4_000
"""Characters of a chain that `--explain` shows."""


def command(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[diff A B]",
            help="Compare two datasets, by path or name, instead.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Name of the task.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the funnel and write nothing.")
    ] = False,
    explain_trace: Annotated[
        str | None,
        typer.Option("--explain", help="Show every verdict on the trace with this id."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of a check, such as nonsense.least=0.5."),
    ] = None,
    contaminated_by: Annotated[
        list[Path] | None,
        typer.Option(
            "--contaminated-by",
            metavar="FILE",
            help="An evaluation set: traces that have one of its texts are not trained on.",
        ),
    ] = None,
    judge_since: Annotated[
        str | None,
        typer.Option(
            "--judge-since",
            metavar="TIME",
            help="Calls recorded before it only train: what is promised rests on later ones.",
        ),
    ] = None,
    judged_by: Annotated[
        str | None,
        typer.Option(
            "--judge",
            metavar="PROVIDER:MODEL",
            help="Pay a teacher for a second opinion on each chain that is kept.",
        ),
    ] = None,
    no_batch: Annotated[
        bool, typer.Option("--no-batch", help="Ask the judge at once, at the full price.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="Wait for the judge's batches; else run the command again to fetch them.",
        ),
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
    engine: Annotated[
        str,
        typer.Option(help="Who works on the traces: local, or ray for a Ray cluster."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes of the local engine; by default one a processor."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a checked, split dataset of the traces of a task, with its data card."""
    workspace = Workspace.find()
    if what:
        _compare(what, workspace, as_json)
        return
    if task is None:
        raise UsageError("no task is named; wanted: limbeck curate --task NAME")
    spec = workspace.task(task)
    if judge_since is not None:
        spec = _since(spec, judge_since)
    given = [workspace.settings.curate, parse_settings(set_ or [])]
    if judged_by is not None or opinions_of(workspace, task).exists():
        given.insert(0, {"judge": {"opinions": f"judge/{task}.jsonl"}})
    settings = resolve_settings(spec, *given)
    evaluation = read_evaluation(contaminated_by) if contaminated_by else None
    at_work = open_engine(engine, workers)

    def look() -> Examination:
        with Store(workspace.store_url) as store, _progress(as_json) as progress:
            return examine_records(
                store.records(task, batch=PAGE),
                spec,
                settings,
                progress,
                evaluation,
                workspace.datasets,
                at_work,
            )

    examined = look()
    judged = None
    if judged_by is not None and explain_trace is None:
        judge = Judge(judged_by, yes, not no_batch, wait, as_json)
        with examined:
            judged = judge_kept(examined, workspace, judge, dry_run)
        if judged.step == "waiting":
            print(judged.model_dump_json(indent=2) if as_json else "\n".join(lines(judged)))
            return
        examined = look()
    with examined, _progress(as_json) as progress:
        if explain_trace is not None:
            _print(explain(examined, explain_trace), as_json)
            return
        info = None if dry_run else write(examined, workspace.datasets, progress)
        if judged is not None and judged.step == "done":
            judged = judged.model_copy(update={"unjudged": unjudged(examined, workspace)})
    if as_json:
        print(json.dumps(_answer(examined, info, judged), indent=2))
        return
    _show(Console(), examined, info)
    for line in lines(judged) if judged is not None else ():
        print(line)


def _since(task: Task, said: str) -> Task:
    """The task, whose calls before that time only train."""
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise UsageError(
            f"--judge-since is {said!r}; wanted a time such as 2026-11-01 or 2026-11-01T08:00:00+00:00"
        ) from None
    plan = SplitPlan.model_validate({**task.splits.model_dump(), "judge_since": at})
    return task.model_copy(update={"splits": plan})


def _compare(what: Sequence[str], workspace: Workspace, as_json: bool) -> None:
    if len(what) != 3 or what[0] != "diff":
        raise UsageError(
            f"got {' '.join(what)!r}; wanted: limbeck curate --task NAME, or limbeck curate diff A B"
        )
    before, after = (
        read_dataset(find_dataset(name, workspace.datasets)) for name in (what[1], what[2])
    )
    found = diff(before, after)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    console = Console()
    for line in _difference(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if found.changes:
        table = Table("in " + found.before, "in " + found.after)
        table.add_column("traces", justify="right")
        table.add_column("such as")
        for change in found.changes:
            shown = change.examples[0].removeprefix("sha256:")[:12]
            table.add_row(change.before, change.after, f"{change.traces:,}", shown)
        console.print(table)


def _difference(found: Difference) -> Iterator[str]:
    if found.same:
        yield f"{found.before} and {found.after} are the same dataset"
        return
    for split, (first, second) in found.splits.items():
        yield f"{split:<12} {first:,} → {second:,} examples"
    for name, (old, new) in found.settings.items():
        yield f"set          {name}: {excerpt(repr(old), 80)} → {excerpt(repr(new), 80)}"
    if found.reworded:
        yield f"reworded     {found.reworded:,} examples of the same traces say something else"
    if found.leaks:
        yield (
            f"! {found.after} judges by {found.leaks:,} inputs that {found.before} trains on: do not "
            f"score a student of the one on the other"
        )


def parse_settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`check.key=value` strings as settings by check; raises UsageError on any other shape."""
    parsed: dict[str, dict[str, Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        check, dot, key = name.strip().partition(".")
        if not (equals and dot and check and key):
            raise UsageError(
                f"--set got {text!r}; wanted check.key=value, such as wrong_answer.keep=all"
            )
        parsed.setdefault(check, {})[key] = value.strip()
    return parsed


@contextmanager
def _progress(quiet: bool) -> Iterator[Report | None]:
    """A line on the terminal that says what is being done; nothing where there is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("reading traces")
        yield lambda what, count: bar.update(line, description=f"{what} ({count:,} traces)")


def _answer(
    examined: Examination, info: DatasetInfo | None, judged: Judged | None
) -> dict[str, Any]:
    return {
        "task": examined.task.name,
        "dataset": str(info.path) if info else None,
        "hash": info.hash if info else None,
        "reused": info.reused if info else None,
        "refused": refusal(examined),
        "caveats": list(examined.caveats),
        "summary": examined.summary.model_dump(mode="json"),
        "judge": judged.model_dump(mode="json") if judged is not None else None,
    }


def _print(explanation: Explanation, as_json: bool) -> None:
    if as_json:
        print(explanation.model_dump_json(indent=2))
        return
    console = Console()
    lines = [
        f"trace {explanation.trace_id} in {explanation.split}",
        f"input  {excerpt(explanation.input, 2_000)}",
        *(f"chain  {line}" for line in (explanation.chain or "none")[:_SHOWN].splitlines()),
        f"answer {explanation.answer!r}, truth {explanation.truth!r}",
        f"dropped: {explanation.reason}: {explanation.evidence}" if explanation.reason else "kept",
    ]
    if explanation.split != "train":
        lines.append(f"(checks drop nothing in {explanation.split}; this is what they would say)")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    table = Table("check", "verdict", "evidence")
    for finding in explanation.findings:
        table.add_row(
            finding.check, "passes" if finding.passes else "fails", Text(finding.evidence or "")
        )
    console.print(table)


def _show(console: Console, examined: Examination, info: DatasetInfo | None) -> None:
    summary = examined.summary
    console.print(_funnel(summary))
    console.print(_splits(summary))
    if summary.drops:
        console.print(_drops(summary))
    for caveat in examined.caveats:
        console.print(f"! {caveat}", markup=False, highlight=False, soft_wrap=True)
    if info is None:
        refused = refusal(examined)
        said = f"a dataset would be refused: {refused}" if refused else "nothing was written"
        console.print(said, markup=False, soft_wrap=True)
        return
    console.print("the same dataset was there already" if info.reused else "dataset written")
    _print_path(console, "dataset", info.path)
    _print_path(console, "card", info.path / "card.html")


def _print_path(console: Console, what: str, path: Path) -> None:
    # A wrapped path could not be copied.
    console.print(f"{what:<8} {path}", markup=False, highlight=False, soft_wrap=True)


def _funnel(summary: Summary) -> Table:
    table = Table("stage", title="Funnel", title_justify="left")
    table.add_column("traces left", justify="right")
    table.add_column("of all", justify="right")
    for stage in summary.funnel:
        share = stage.left / max(summary.traces, 1)
        table.add_row(stage.name, f"{stage.left:,}", f"{share:.1%}")
    return table


def _splits(summary: Summary) -> Table:
    table = Table("split", title="Splits", title_justify="left")
    table.add_column("examples", justify="right")
    table.add_column("teacher right (95 % interval)")
    for split, count in summary.splits.items():
        teacher = summary.teacher.get(split)
        said = f"{teacher.share:.1%} ({teacher.low:.1%} to {teacher.high:.1%})" if teacher else ""
        table.add_row(split, f"{count:,}", said)
    return table


def _drops(summary: Summary) -> Table:
    table = Table("dropped for", title="Drops", title_justify="left")
    table.add_column("traces", justify="right")
    table.add_column("of all", justify="right")
    for reason, by_split in summary.drops.items():
        total = sum(by_split.values())
        table.add_row(reason, f"{total:,}", f"{total / max(summary.traces, 1):.1%}")
    return table

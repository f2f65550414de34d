"""`limbeck study`: a controlled comparison on a dataset, with its page."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from limbeck.cli.find import find_dataset
from limbeck.cli.given import read_pairs, settle
from limbeck.cli.training import watching
from limbeck.cli.working import working
from limbeck.distill.settings import DistillSettings
from limbeck.errors import MissingExtraError, UsageError
from limbeck.evaluate.study.estimate import Estimate, estimate
from limbeck.evaluate.study.result import ArmResult, StudyResult
from limbeck.evaluate.study.run import SEEDS, Plan, plan_study, run_study
from limbeck.evaluate.study.table import TABLE
from limbeck.report.numbers import count, duration, percent, points, points_span, span
from limbeck.report.study import write_study
from limbeck.workspace import Workspace


def command(
    name: Annotated[str, typer.Argument(help=f"Which study: {', '.join(TABLE)}.")],
    dataset: Annotated[
        str | None,
        typer.Argument(help="A dataset: folder, name, beginning of a name, or a task."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="The newest dataset of this task.")
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="A setting of the study, such as sizes=100,200,400."),
    ] = None,
    student: Annotated[
        str, typer.Option(help="nano, micro, or the folder or hub id of a causal language model.")
    ] = "nano",
    seeds: Annotated[int, typer.Option(help="How many seeds for each arm.")] = SEEDS,
    seed: Annotated[int | None, typer.Option(help="The first seed (default 0).")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of training, such as steps=400.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which split the students are asked.")] = "test",
    jobs: Annotated[int, typer.Option(min=0, help="Students side by side; 0: one a core.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where the page is written.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and how long, and stop.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let the model's own code run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare ways of training on your own data: same steps, several seeds, paired intervals.

    What was trained before is kept, so that one more arm trains one arm, and an interrupted study
    continues. No study costs money: nothing is asked of a remote teacher.
    """
    if find_spec("torch") is None:
        raise MissingExtraError("torch", "train")
    if (dataset is None) == (task is None):
        raise UsageError(
            f"got the dataset {dataset!r} and --task {task!r}; wanted one of the two: "
            f"limbeck study {name} --task TASK"
        )
    workspace = Workspace.find()
    settings = settle(DistillSettings, workspace, "distill", set_ or [])
    first = settings.seed if seed is None else seed
    with working("reading the dataset"):
        plan = plan_study(
            name,
            find_dataset(workspace, dataset or task or ""),
            workspace.home / "studies",
            given=dict(read_pairs("--with", with_ or [])),
            base=str(Path(student).absolute()) if Path(student).is_dir() else student,
            settings=settings,
            seeds=range(first, first + seeds),
            split=split,
            trust_remote_code=trust_remote_code,
        )
    console = Console(stderr=as_json)
    with working("a trial of a few steps, to say how long it takes"):
        expected = estimate(plan, jobs=jobs)
    _announce(console, plan, expected)
    if dry_run:
        if as_json:
            print(json.dumps(_planned(plan, expected), indent=2))
        return
    missing = plan.missing
    with watching([job.label for job in missing], [plan.settings.steps] * len(missing)) as board:
        result = run_study(plan, jobs=jobs, watch=board.saw, finished=board.finished)
    folder = out or workspace.reports / f"study-{name}-{plan.dataset.path.name}"
    page = write_study(result, folder, command=shlex.join(["limbeck", *sys.argv[1:]]))
    if as_json:
        print(result.model_dump_json(indent=2))
        return
    _show(console, result)
    console.print(f"page     {page}", markup=False, highlight=False, soft_wrap=True)


def _announce(console: Console, plan: Plan, expected: Estimate) -> None:
    """What is about to happen, how long it takes and that it costs no money."""
    console.print(
        f"{plan.name} on {plan.dataset.path.name}: {len(plan.arms)} arms, "
        f"{len(plan.seeds)} seeds, {count(expected.students)} students of {count(expected.steps)} steps",
        highlight=False,
        soft_wrap=True,
    )
    if not expected.missing:
        console.print("all of them are there already; nothing is trained", highlight=False)
        return
    kept = expected.students - expected.missing
    console.print(
        f"{count(expected.missing)} to train{f', {count(kept)} are there already' if kept else ''}: "
        f"about {duration(expected.seconds)}, {expected.side_by_side} side by side; "
        "no money is spent",
        highlight=False,
        soft_wrap=True,
    )


def _planned(plan: Plan, expected: Estimate) -> dict[str, object]:
    arms = [arm.model_dump(mode="json", exclude_defaults=True) for arm in plan.arms]
    return {"study": plan.name, "arms": arms, "estimate": expected.model_dump(mode="json")}


def _show(console: Console, result: StudyResult) -> None:
    title = f"{result.task}: {count(result.n)} items of {result.split}, 95 % intervals"
    table = Table("arm", title=title, title_justify="left")
    table.add_column("accuracy")
    table.add_column("difference, points")
    for heading in ("inputs", "tokens"):
        table.add_column(heading, justify="right")
    for arm in result.arms:
        table.add_row(
            arm.name,
            f"{percent(arm.accuracy)} {span(arm.interval)}",
            _versus(arm),
            count(arm.train_inputs),
            f"{arm.tokens:.1f}",
        )
    console.print(table)
    for sentence in result.shown:
        console.print(f"- {sentence}", markup=False, highlight=False, soft_wrap=True)


def _versus(arm: ArmResult) -> str:
    versus = arm.versus
    if versus is None:
        return ""
    difference = points(versus.difference).removesuffix(" points")
    return f"{difference} {points_span(versus.interval)} {versus.verdict} ({versus.against})"

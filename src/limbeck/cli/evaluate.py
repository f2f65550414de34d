"""`limbeck evaluate`: students scored by verified outcome, beside their control and the teacher."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from limbeck.cli.find import dataset_of, find_dataset, find_student, students_of
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.errors import StudentError, UsageError
from limbeck.evaluate.answers import Answers, answers_of
from limbeck.evaluate.evaluate import Arm, Evaluation, evaluate
from limbeck.evaluate.intervals import Interval
from limbeck.models.local import read_card
from limbeck.workspace import Workspace


def command(
    student: Annotated[
        list[str] | None, typer.Argument(help="Students: folder, name, or beginning of a name.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="All students of its newest dataset.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Folder of the dataset, if it is not in the workspace.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which split to ask about.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score students on a split. What they said is kept, so that a second look costs nothing."""
    workspace = Workspace.find()
    data, folders = _chosen(workspace, student or [], task, dataset)
    result = evaluate(data, split, ask_all(folders, data, split, quiet=as_json))
    if as_json:
        print(result.model_dump_json(indent=2))
        return
    _show(Console(), result)


def _chosen(
    workspace: Workspace, names: Sequence[str], task: str | None, given: Path | None
) -> tuple[Dataset, list[Path]]:
    if bool(names) == bool(task):
        raise UsageError(
            f"got students {list(names)!r} and --task {task!r}; wanted one of the two: "
            "limbeck evaluate STUDENT..., or limbeck evaluate --task NAME"
        )
    if task:
        data = read_dataset(given) if given else find_dataset(workspace, task)
        folders = students_of(workspace, data)
        if not folders:
            raise StudentError(
                f"no student was trained on the dataset {data.path.name!r}; make one with: "
                f"limbeck distill {data.path.name}"
            )
        return data, folders
    folders = list(dict.fromkeys(find_student(workspace, name) for name in names))
    cards = [read_card(folder) for folder in folders]
    if len({card.dataset for card in cards}) > 1:
        pairs = ", ".join(
            f"{folder.name} on {card.task.name}-{card.dataset.removeprefix('sha256:')[:8]}"
            for folder, card in zip(folders, cards, strict=True)
        )
        raise UsageError(
            f"the students learned from different datasets ({pairs}) and cannot be compared; "
            "name students of one dataset"
        )
    return read_dataset(given) if given else dataset_of(workspace, cards[0]), folders


def ask_all(folders: Sequence[Path], dataset: Dataset, split: str, *, quiet: bool) -> list[Answers]:
    """What each student says on a split, with a bar on the terminal while it is asked."""
    answers = []
    for folder in folders:
        with _progress(f"asking {folder.name}", quiet) as progress:
            answers.append(answers_of(folder, dataset, split, progress=progress(dataset, split)))
    return answers


@contextmanager
def _progress(
    what: str, quiet: bool
) -> Iterator[Callable[[Dataset, str], Callable[[int], None] | None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda dataset, split: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bars:

        def begin(dataset: Dataset, split: str) -> Callable[[int], None]:
            line = bars.add_task(what, total=dataset.manifest.summary.splits.get(split))
            return lambda count: bars.advance(line, count)

        yield begin


def _show(console: Console, result: Evaluation) -> None:
    title = f"{result.task}: {result.n:,} items of {result.split}, 95 % intervals"
    table = Table("recipe", title=title, title_justify="left")
    table.add_column("accuracy")
    table.add_column("against control, points")
    for heading in ("seeds", "tokens", "ms"):
        table.add_column(heading, justify="right")
    for arm in result.arms:
        table.add_row(
            arm.recipe,
            f"{arm.accuracy:.1%} {_span(arm.interval)}",
            _versus(arm),
            str(len(arm.seeds)),
            f"{arm.tokens:.1f}",
            f"{arm.seconds * 1000:.1f}",
        )
    console.print(table)
    if result.teacher is not None:
        teacher = result.teacher
        console.print(
            f"teacher  {teacher.accuracy:.1%} {_span(teacher.interval)} of {teacher.n:,}",
            markup=False,
            highlight=False,
        )
    console.print(f"always the commonest answer  {result.majority:.1%}", highlight=False)
    truths = ", ".join(f"{count:,} {source}" for source, count in result.truth_sources.items())
    console.print(f"what is true was said by  {truths}", highlight=False)
    if result.simulated:
        console.print("the teacher's replies were simulated")
    for finding in result.findings:
        console.print(f"- {finding}", markup=False, highlight=False, soft_wrap=True)


def _versus(arm: Arm) -> str:
    versus = arm.versus_control
    if versus is None:
        return ""
    span = _span(versus.interval, signed=True)
    return f"{versus.difference * 100:+.1f} {span} {versus.verdict}"


def _span(interval: Interval, *, signed: bool = False) -> str:
    low, high = interval.low * 100, interval.high * 100
    return f"[{low:+.1f}, {high:+.1f}]" if signed else f"[{low:.1f}, {high:.1f}]"

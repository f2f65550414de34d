"""`limbeck evaluate`: who is right, how surely, on what, and what their rationales are worth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from limbeck.cli.evaluated import show, written
from limbeck.cli.find import dataset_of, find_dataset, find_student, students_of
from limbeck.cli.working import working
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import DatasetError, StudentError, UsageError
from limbeck.evaluate.answers import Answers, answers_of
from limbeck.evaluate.bias.bbq import read_bbq
from limbeck.evaluate.bias.crows import read_crows
from limbeck.evaluate.result import SUITES
from limbeck.evaluate.shifted.paraphrased import paraphrases
from limbeck.evaluate.subject import (
    TEACHER,
    URL,
    LocalStudent,
    Rehearsal,
    Remote,
    Subject,
    served_model,
)
from limbeck.evaluate.suites import Plan, run_suites
from limbeck.models.local import read_card
from limbeck.models.prices import cost_usd
from limbeck.models.remote import Teacher, parse_teacher
from limbeck.report.evaluation import write_evaluation
from limbeck.store.store import Store
from limbeck.types import Task, Trace, Usage
from limbeck.workspace import Workspace


class Suite(StrEnum):
    outcome = "outcome"
    shifted = "shifted"
    dependence = "dependence"
    bias = "bias"
    calibration = "calibration"
    all = "all"


CHARACTERS = 4
"""Of a token of English, about; good enough to say what will be spent."""
REPLY_TOKENS = 300
"""Guessed for a reply of a teacher none of whose calls was recorded."""


def command(
    student: Annotated[
        list[str] | None, typer.Argument(help="Students: folder, name, or beginning of a name.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="All students of its newest dataset.")
    ] = None,
    suite: Annotated[
        list[Suite] | None, typer.Option("--suite", help="What to look at; may be repeated.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Two students, item by item."),
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Folder of the dataset, if it is not in the workspace.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which split to ask about.")] = "test",
    items: Annotated[
        int | None, typer.Option("--items", min=20, help="Ask about so many items at most.")
    ] = None,
    skip_seen: Annotated[
        bool, typer.Option("--skip-seen", help="Leave out what a student has seen; else refuse.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", help="A student behind an OpenAI-compatible address, with /v1."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="What it is called there (default: the only one).")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher", metavar="PROVIDER:MODEL", help="Ask the teacher too; costs money."
        ),
    ] = None,
    paraphrase: Annotated[
        bool, typer.Option("--paraphrase", help="Let the teacher reword the inputs (shifted).")
    ] = False,
    bbq: Annotated[
        Path | None, typer.Option("--bbq", help="Rows of BBQ, for the suite bias.")
    ] = None,
    crows: Annotated[
        Path | None, typer.Option("--crows", help="Rows of CrowS-Pairs, for the suite bias.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the page and its JSON.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score students on items that they never saw; writes a page and its JSON.

    What a student said is kept, so that a second look costs nothing. The label-only control of a
    student is added where there is one.
    """
    workspace = Workspace.find()
    names = [*(student or []), *(compare or ())]
    data, folders = _chosen(workspace, names, task, dataset, remote=bool(url or teacher))
    wanted = tuple(dict.fromkeys(one.value for one in (suite or [Suite.outcome])))
    suites = SUITES if "all" in wanted else tuple(one for one in SUITES if one in wanted)
    locals_ = [LocalStudent(folder) for folder in folders]
    controls = _controls(workspace, data, locals_)
    if not task:
        locals_ += [one for one in controls if one.folder not in folders]
    asked = parse_teacher(teacher) if teacher else None
    if paraphrase and asked is None:
        raise UsageError("--paraphrase needs a teacher who rewords; add --teacher PROVIDER:MODEL")
    plan = Plan(
        suites=suites,
        split=split,
        skip_seen=skip_seen,
        items=items,
        pairs=(_pair(workspace, compare),) if compare else (),
        data={one.name: _learned_from(workspace, data, one) for one in locals_},
        control=_by_student(locals_, controls),
        calls=_calls(workspace, data.task) if "outcome" in suites else {},
        bbq=read_bbq(bbq) if bbq else None,
        crows=read_crows(crows) if crows else None,
        paraphrase=partial(paraphrases, asked) if asked is not None and paraphrase else None,
        command=_line(names, task, suites, split),
    )
    subjects: list[Subject] = [*locals_, *_remotes(data.task, url, model, asked)]
    if asked is not None:
        _spend(plan, data, asked, yes=yes, as_json=as_json)
    with _board(as_json) as told:
        result = run_suites(plan, data, subjects, told)
    page = write_evaluation(result, out or _folder(workspace, result.task, result.id))
    if as_json:
        print(result.model_dump_json(indent=2))
        return
    console = Console()
    show(console, result)
    written(console, page)


# ---- who is evaluated ---------------------------------------------------------------------------


def _chosen(
    workspace: Workspace,
    names: Sequence[str],
    task: str | None,
    given: Path | None,
    *,
    remote: bool,
) -> tuple[Dataset, list[Path]]:
    if bool(names) == bool(task):
        raise UsageError(
            f"got students {list(names)!r} and --task {task!r}; wanted one of the two: "
            "limbeck evaluate STUDENT..., or limbeck evaluate --task NAME"
        )
    if task:
        data = read_dataset(given) if given else find_dataset(workspace, task)
        folders = students_of(workspace, data)
        if not folders and not remote:
            raise StudentError(
                f"no student was trained on the dataset {data.path.name!r}; make one with: "
                f"limbeck distill {data.path.name}"
            )
        return data, folders
    folders = list(dict.fromkeys(find_student(workspace, name) for name in names))
    if given:
        return read_dataset(given), folders
    cards = [read_card(folder) for folder in folders]
    if len({card.dataset for card in cards}) > 1:
        pairs = ", ".join(
            f"{folder.name} on {card.task.name}-{card.dataset.removeprefix('sha256:')[:8]}"
            for folder, card in zip(folders, cards, strict=True)
        )
        raise UsageError(
            f"the students learned from different datasets ({pairs}), so that it is open on which items "
            "they are to be compared; name the dataset with --dataset FOLDER"
        )
    return dataset_of(workspace, cards[0]), folders


def _controls(
    workspace: Workspace, data: Dataset, students: Sequence[LocalStudent]
) -> list[LocalStudent]:
    """The label-only students of the dataset with the base of one that is evaluated."""
    bases = {(one.card.base, one.card.seed) for one in students}
    found = []
    for folder in students_of(workspace, data):
        card = read_card(folder)
        if card.recipe == CONTROL and (card.base, card.seed) in bases:
            found.append(LocalStudent(folder))
    return found


def _by_student(
    students: Sequence[LocalStudent], controls: Sequence[LocalStudent]
) -> dict[str, LocalStudent]:
    """For each student that is no control itself the control of its base and seed."""
    by = {(one.card.base, one.card.seed): one for one in controls}
    return {
        one.name: by[one.card.base, one.card.seed]
        for one in students
        if one.card.recipe != CONTROL and (one.card.base, one.card.seed) in by
    }


def _pair(workspace: Workspace, compare: tuple[str, str]) -> tuple[str, str]:
    first, second = (find_student(workspace, name).name for name in compare)
    if first == second:
        raise UsageError(f"--compare got {first!r} twice; wanted two different students")
    return first, second


def _learned_from(workspace: Workspace, data: Dataset, one: LocalStudent) -> Dataset:
    """Where a student learned; raises StudentError where nobody can say what it has seen."""
    if one.card.dataset == data.hash:
        return data
    if one.card.task.name != data.task.name:
        raise StudentError(
            f"the student {one.name!r} is of the task {one.card.task.name!r} and the items are of "
            f"{data.task.name!r}; name a student of that task"
        )
    try:
        return dataset_of(workspace, one.card)
    except DatasetError:
        raise StudentError(
            f"the student {one.name!r} learned from another dataset, which is not in "
            f"{workspace.datasets}, so that nobody can say which of the items it has seen; bring that "
            "dataset back, or distill on this one"
        ) from None


def _remotes(
    task: Task, url: str | None, model: str | None, teacher: Teacher | None
) -> list[Remote]:
    found = []
    if url is not None:
        served = Teacher(url, "openai_chat", model or served_model(url), None)
        found.append(Remote(task, served, URL))
    if teacher is not None:
        found.append(Remote(task, teacher, TEACHER))
    return found


def _calls(workspace: Workspace, task: Task) -> dict[str, Trace]:
    """The recorded calls of a task by trace id, for their times and costs; none without a store."""
    if "://" not in workspace.store_url and not Path(workspace.store_url).exists():
        return {}
    with (
        working("reading when the calls came and what they cost"),
        Store(workspace.store_url) as store,
    ):
        return {trace.id: trace for trace in store.traces(task.name)}


# ---- money, progress, names ---------------------------------------------------------------------


def _spend(plan: Plan, data: Dataset, teacher: Teacher, *, yes: bool, as_json: bool) -> None:
    """Says what the teacher's replies will cost and asks whether to go on."""
    rehearsal = Rehearsal(Remote(data.task, teacher, TEACHER))
    suites = tuple(one for one in plan.suites if one in ("outcome", "shifted"))
    if suites:
        run_suites(replace(plan, suites=suites, pairs=(), paraphrase=None), data, [rehearsal])
    written_ = [trace.usage.output for trace in plan.calls.values() if trace.usage.output]
    each = round(sum(written_) / len(written_)) if written_ else REPLY_TOKENS
    usage = Usage(input=rehearsal.characters // CHARACTERS, output=each * rehearsal.questions)
    cost = cost_usd(teacher.model, usage, data.task.teacher.price)
    price = f"about ${cost:,.2f}" if cost is not None else "a price that nobody here knows"
    more = (
        "; rewording the inputs and the suite bias come on top"
        if plan.paraphrase or ("bias" in plan.suites)
        else ""
    )
    Console(stderr=True).print(
        f"cost     {rehearsal.questions:,} questions to {teacher.model}, {price}{more}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if not yes:
        typer.confirm("ask?", abort=True, err=as_json)


def _line(names: Sequence[str], task: str | None, suites: Sequence[str], split: str) -> str:
    who = " ".join(names) if names else f"--task {task}"
    return f"limbeck evaluate {who} {' '.join(f'--suite {one}' for one in suites)} --split {split}"


def _folder(workspace: Workspace, task: str, name: str) -> Path:
    return workspace.reports / f"evaluate-{task}-{name.removeprefix('sha256:')[:8]}"


@contextmanager
def _board(quiet: bool) -> Iterator[Callable[[str, int | None], Callable[[int], None] | None]]:
    """A line for each thing that is going on, on the terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, of: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bars:

        def begin(what: str, of: int | None) -> Callable[[int], None]:
            line = bars.add_task(what, total=of)
            return lambda count: bars.advance(line, count)

        yield begin


def ask_all(folders: Sequence[Path], dataset: Dataset, split: str, *, quiet: bool) -> list[Answers]:
    """What each student says on a split, with a bar on the terminal while it is asked."""
    of = dataset.manifest.summary.splits.get(split)
    answers = []
    for folder in folders:
        with _board(quiet) as told:
            progress = told(f"asking {folder.name}", of)
            answers.append(answers_of(folder, dataset, split, progress=progress))
    return answers

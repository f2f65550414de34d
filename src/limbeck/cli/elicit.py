"""`limbeck elicit`: ask the teacher for the rationales that are missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from limbeck.capture.post_hoc.asking import How
from limbeck.capture.post_hoc.batching import Batching, Progress
from limbeck.capture.post_hoc.direct import ask_directly
from limbeck.capture.post_hoc.estimate import estimate
from limbeck.capture.post_hoc.explaining import Explaining
from limbeck.capture.post_hoc.lacking import Lacking, find_lacking
from limbeck.capture.post_hoc.submissions import Submission, Submissions, Tally, new_token
from limbeck.capture.redact import Redactor, redactor_for
from limbeck.cli.elicited import BatchSummary, Elicited, gap_of, money, plan_lines, show, summary_of
from limbeck.cli.upstreams import Whom, connecting, key_of, named, read_upstreams
from limbeck.cli.working import asking_bar
from limbeck.errors import ConfigError, UsageError
from limbeck.models.remote import Teacher
from limbeck.serve.settings import GatewaySettings, Upstream
from limbeck.store.store import Store
from limbeck.types import Task
from limbeck.workspace import FILE, Workspace, read_values


class Sample(StrEnum):
    first = "first"
    random = "random"


def command(
    task: Annotated[str, typer.Option("--task", "-t", help="Name of the task.")],
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Ask about so many traces at most.")
    ] = None,
    sample: Annotated[
        Sample, typer.Option("--sample", help="Which traces, where there are more than --limit.")
    ] = Sample.first,
    blind: Annotated[
        bool,
        typer.Option("--blind", help="Ask the question anew and do not show the recorded answer."),
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="The model to ask (default: that of the task).")
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option("--upstream", metavar="NAME", help="One of the gateway's upstreams."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", metavar="PROVIDER:MODEL", help="Both in one word."),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=16, help="The longest reply.")
    ] = 2048,
    no_batch: Annotated[
        bool, typer.Option("--no-batch", help="Ask at once, one by one, at the full price.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait",
            help="Wait for the batches; else run the command again to fetch them.",
        ),
    ] = True,
    again: Annotated[
        bool,
        typer.Option("--again", help="Ask also where an earlier reply held no rationale."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would cost; ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask for the rationales that are missing, through the provider's batch API at its lower price.

    Batches that are still open are gone on with, and nothing new is asked in that run.
    """
    workspace = Workspace.find()
    spec = workspace.task(task)
    upstreams = read_upstreams(workspace)
    submissions = Submissions(workspace.home, task)
    how: How = "blind" if blind else "guided"
    with Store(workspace.store_url) as store, submissions.locked():
        job = Explaining(store, spec, _redactor(workspace, spec))
        batching = Batching(job, submissions, connecting(upstreams))
        if submissions.open() and not dry_run:
            before = Elicited(task=task, step="done", resumed=True)
            show(_run(batching, wait, as_json, before), as_json)
            return
        lacking = _look(job, submissions, how, limit, sample, again, as_json)
        planned = Elicited(
            task=task, step="nothing", gap=gap_of(lacking), batches=_open(submissions)
        )
        if not lacking.wanted:
            show(planned, as_json)
            return
        whom = _whom(spec, lacking, upstreams, upstream, teacher, model)
        cost = estimate(
            *(spec, lacking, whom.model),
            batch=not no_batch,
            max_tokens=max_tokens,
            provider=whom.provider,
        )
        planned = planned.model_copy(update={"step": "planned", "estimate": cost})
        if dry_run:
            show(planned, as_json)
            return
        _agree(planned, yes, as_json)
        if no_batch:
            asked = _at_once(spec, lacking, whom, how, max_tokens)
            tally = _ask_now(job, submissions, asked, whom, as_json)
            show(planned.model_copy(update={"step": "done", "tally": tally}), as_json)
            return
        names = (one.trace_id for one in lacking.wanted)
        batching.prepare(
            names, upstream=whom.name, model=whom.model, how=how, max_tokens=max_tokens
        )
        show(_run(batching, wait, as_json, planned), as_json)


def _look(
    job: Explaining,
    submissions: Submissions,
    how: How,
    limit: int | None,
    sample: Sample,
    again: bool,
    quiet: bool,
) -> Lacking:
    with _counting("reading traces", quiet) as progress:
        return find_lacking(
            *(job.store, job.task, how),
            limit=limit,
            sample=sample.value,
            unusable=set() if again else submissions.in_vain(),
            progress=progress,
        )


# ---- whom to ask --------------------------------------------------------------------------------


def _whom(
    task: Task,
    lacking: Lacking,
    upstreams: dict[str, Upstream],
    upstream: str | None,
    teacher: str | None,
    model: str | None,
) -> Whom:
    if teacher is not None:
        alone = ", without --upstream and --model"
        if upstream or model:
            raise UsageError(f"--teacher is {teacher!r}; wanted PROVIDER:MODEL{alone}")
        return named("--teacher", teacher, upstreams, alone)
    name = upstream or task.teacher.upstream or lacking.dialect
    if name is None:
        raise UsageError(
            f"nothing says whom to ask about the task {task.name!r}; "
            "name one: --teacher PROVIDER:MODEL, or --upstream NAME"
        )
    if name not in upstreams:
        raise ConfigError(
            f"the upstream is {name!r}; wanted one of {', '.join(sorted(upstreams))}; "
            f"add it under [gateway.upstreams] in {FILE}"
        )
    asked = model or task.teacher.model or lacking.generator
    if not asked:
        raise UsageError(
            f"nothing says which model to ask about the task {task.name!r}; name it: --model MODEL"
        )
    return Whom(name, upstreams[name], asked)


def _redactor(workspace: Workspace, task: Task) -> Redactor | None:
    section = workspace.settings.gateway
    settings = read_values(GatewaySettings, section, workspace.root / FILE, "gateway")
    return redactor_for(settings.redact, task.redact)


# ---- asking -------------------------------------------------------------------------------------


def _agree(shown: Elicited, yes: bool, as_json: bool) -> None:
    """Show the price and wait for a yes. Raises UsageError where nobody is there to say it."""
    if not as_json:
        print("\n".join(plan_lines(shown)), flush=True)
    if yes:
        return
    assert shown.estimate is not None
    if not sys.stdin.isatty():
        raise UsageError(
            f"this asks {shown.estimate.requests:,} questions for {money(shown.estimate)}, and nobody "
            "is at the terminal to agree; look at it with --dry-run, and agree with --yes"
        )
    typer.confirm("ask?", abort=True, err=as_json)


def _run(batching: Batching, wait: bool, as_json: bool, shown: Elicited) -> Elicited:
    with asking_bar(as_json) as told:
        batching.told = told
        after = batching.run(wait=wait)
    tally = sum((one.tally for one in after), Tally())
    waiting = any(one.step in ("prepared", "submitting", "submitted") for one in after)
    update = {
        "step": "waiting" if waiting else "done",
        "batches": tuple(map(summary_of, after)),
        "tally": tally,
    }
    return shown.model_copy(update=update)


def _at_once(task: Task, lacking: Lacking, whom: Whom, how: How, max_tokens: int) -> Submission:
    """The questions as one submission that is handed in to nobody."""
    return Submission(
        token=new_token(),
        task=task.name,
        upstream=whom.name,
        model=whom.model,
        how=how,
        max_tokens=max_tokens,
        step="prepared",
        requests=len(lacking.wanted),
        traces=tuple(one.trace_id for one in lacking.wanted),
        at=datetime.now(UTC),
    )


def _ask_now(
    job: Explaining, submissions: Submissions, one: Submission, whom: Whom, quiet: bool
) -> Tally:
    keeper = job.keeping(one, whom.provider)
    key = key_of(whom.name, whom.upstream)
    with (
        Teacher(whom.upstream.base_url, whom.dialect, whom.model, key) as teacher,
        asking_bar(quiet) as told,
    ):
        try:
            ask_directly(
                *(job.questions(one), keeper, teacher),
                max_tokens=one.max_tokens,
                told=lambda done: told(Progress(done, one.requests, "asking")),
            )
        finally:
            # What was answered in vain is known to the next run, also where this one is stopped.
            if keeper.asked:
                over: dict[str, object] = {"step": "collected", "requests": keeper.asked}
                over |= {"traces": (), "in_vain": tuple(keeper.in_vain), "tally": keeper.tally()}
                submissions.save(one.model_copy(update=over))
    return keeper.tally()


@contextmanager
def _counting(text: str, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    console = Console(stderr=True)
    disable = quiet or not console.is_terminal
    with Bar(
        TextColumn("{task.description}"), console=console, transient=True, disable=disable
    ) as bar:
        shown = bar.add_task(text)
        yield lambda what, seen: bar.update(shown, description=f"{what} ({seen:,})")


def _open(submissions: Submissions) -> tuple[BatchSummary, ...]:
    return tuple(map(summary_of, submissions.open()))

"""Paying a judge from the terminal: the bill first, then the questions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl
import typer

from limbeck.capture.post_hoc.batching import Batching, Progress
from limbeck.capture.post_hoc.direct import ask_directly
from limbeck.capture.post_hoc.submissions import OPEN, Submission, Submissions, Tally, new_token
from limbeck.cli.elicited import BatchSummary, money, paid, summary_of
from limbeck.cli.upstreams import Whom, connecting, key_of, named, read_upstreams
from limbeck.cli.working import asking_bar
from limbeck.curate.examination import Examination
from limbeck.curate.judge.asking import MAX_TOKENS, Case, lacking
from limbeck.curate.judge.bill import Bill, bill
from limbeck.curate.judge.judging import Judging
from limbeck.curate.judge.opinions import read_opinions
from limbeck.errors import UsageError
from limbeck.models.remote import Teacher
from limbeck.types import Noun
from limbeck.workspace import Workspace


class Judged(Noun):
    """What came of `--judge`. `planned` asked nothing, `waiting` has batches that have not ended.
    `unjudged` chains that would train have no opinion."""

    step: Literal["nothing", "planned", "waiting", "done"]
    bill: Bill | None = None
    batches: tuple[BatchSummary, ...] = ()
    tally: Tally = Tally()
    unjudged: int = 0


@dataclass(frozen=True)
class Judge:
    """Who judges and how: `PROVIDER:MODEL`, and what was agreed to."""

    given: str
    yes: bool
    batch: bool
    wait: bool
    quiet: bool


def opinions_of(workspace: Workspace, task: str) -> Path:
    """The file of what judges said of the chains of a task."""
    return workspace.home / "judge" / f"{task}.jsonl"


def judge_kept(
    examined: Examination, workspace: Workspace, judge: Judge, dry_run: bool = False
) -> Judged:
    """Ask about every training chain that is kept and that nobody judged; batches that are still open
    are gone on with first. Raises UsageError where nobody is there to agree to the price."""
    task, rubric = examined.task, examined.settings.checks["judge"]["rubric"]
    upstreams = read_upstreams(workspace)
    whom = named("--judge", judge.given, upstreams)
    file = opinions_of(workspace, task.name)
    submissions = Submissions(workspace.home, task.name, "judge")

    def left() -> Judging:
        chains = lacking(_cases(examined), read_opinions(file), rubric)
        return Judging(task, file, tuple(chains), rubric)

    with submissions.locked():
        before = Judged(step="nothing")
        if submissions.open() and not dry_run:
            before = _run(Batching(left(), submissions, connecting(upstreams)), judge)
            if before.step == "waiting":
                return before
        job = left()
        if not job.chains:
            return before
        cost = bill(
            *(task, job.chains, whom.model, rubric), batch=judge.batch, provider=whom.provider
        )
        if dry_run:
            return Judged(step="planned", bill=cost, unjudged=len(job.chains))
        _agree(cost, judge)
        if judge.batch:
            batching = Batching(job, submissions, connecting(upstreams))
            cases = {group.name: group.keys for group in job.groups()}
            batching.prepare(
                cases, upstream=whom.name, model=whom.model, max_tokens=MAX_TOKENS, cases=cases
            )
            after = _run(batching, judge)
        else:
            after = Judged(step="done", tally=_ask_now(job, submissions, whom, judge))
        update = {"bill": cost, "tally": before.tally + after.tally}
        return after.model_copy(update={**update, "batches": before.batches + after.batches})


def unjudged(examined: Examination, workspace: Workspace) -> int:
    """How many chains that would train have no opinion."""
    rubric = examined.settings.checks["judge"]["rubric"]
    known = read_opinions(opinions_of(workspace, examined.task.name))
    return len(lacking(_cases(examined), known, rubric))


def lines(judged: Judged) -> Iterator[str]:
    """What there is to say, but for the question."""
    tally, again = judged.tally, "the same command"
    if judged.step == "planned" and judged.bill is not None:
        yield f"judge     {said(judged.bill)}; nothing was asked"
    for batch in judged.batches:
        why = f": {batch.reason}" if batch.reason else ""
        yield f"judge     {batch.batch_id or batch.token}  {batch.requests:,} questions, {batch.step}{why}"
    if tally.asked:
        yield f"judged    {tally.explained:,} of {tally.asked:,} chains"
        for reason, count in tally.failed.items():
            yield f"failed    {count:,} chains: {reason}; asked again next time"
        for reason, count in tally.unusable.items():
            yield f"no word   {count:,} chains: {reason}; asked again next time"
        yield f"paid      {paid(tally)}"
    if judged.step == "waiting":
        yield f"next      {again} fetches what the judge says; until then no dataset is written"
    elif judged.step == "done" and judged.unjudged:
        yield (
            f"unjudged  {judged.unjudged:,} chains that are kept now: they took the place of others, or "
            f"the judge said nothing of them; {again} asks about them too"
        )


def said(cost: Bill) -> str:
    """The bill in one sentence."""
    guess = cost.estimate
    return (
        f"judging {cost.cases:,} chains in {guess.requests:,} questions to {guess.model} costs "
        f"{money(guess)}{' (batch)' if guess.batch else ' (no batch)'}"
    )


def _agree(cost: Bill, judge: Judge) -> None:
    if not judge.yes and not sys.stdin.isatty():
        raise UsageError(
            f"{said(cost)}, and nobody is at the terminal to agree; look at it with --dry-run, and "
            f"agree with --yes"
        )
    if not judge.quiet:
        print(said(cost), flush=True)
    if not judge.yes:
        typer.confirm("ask?", abort=True, err=judge.quiet)


def _run(batching: Batching, judge: Judge) -> Judged:
    with asking_bar(judge.quiet) as told:
        batching.told = told
        after = batching.run(wait=judge.wait)
    return Judged(
        step="waiting" if any(one.step in OPEN for one in after) else "done",
        batches=tuple(map(summary_of, after)),
        tally=sum((one.tally for one in after), Tally()),
    )


def _ask_now(job: Judging, submissions: Submissions, whom: Whom, judge: Judge) -> Tally:
    cases = {group.name: group.keys for group in job.groups()}
    one = Submission(
        token=new_token(),
        task=job.task.name,
        upstream=whom.name,
        model=whom.model,
        max_tokens=MAX_TOKENS,
        step="prepared",
        requests=len(cases),
        traces=tuple(cases),
        cases=cases,
        at=datetime.now(UTC),
    )
    keeper = job.keeping(one, whom.provider)
    key = key_of(whom.name, whom.upstream)
    with (
        Teacher(whom.upstream.base_url, whom.dialect, whom.model, key) as teacher,
        asking_bar(judge.quiet) as told,
    ):
        ask_directly(
            *(job.questions(one), keeper, teacher),
            max_tokens=one.max_tokens,
            told=lambda done: told(Progress(done, len(cases), "asking the judge")),
        )
    return keeper.tally()


def _cases(examined: Examination) -> list[Case]:
    kept = examined.rows.filter((pl.col("split") == "train") & pl.col("reason").is_null())
    texts = examined.texts(kept).filter(pl.col("rationale").is_not_null())
    columns = texts.select("input", "rationale", "answer_raw").iter_rows()
    return [Case(asked, chain, answer or "") for asked, chain, answer in columns]

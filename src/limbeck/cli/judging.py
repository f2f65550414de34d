"""Paying a judge from the terminal: the bill first, then the questions."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import typer
from rich.console import Console

from limbeck.curate.examination import Examination
from limbeck.curate.judge import Bill, Case, ask_judge, bill, lacking, read_opinions
from limbeck.errors import UsageError
from limbeck.models.remote import parse_teacher


def judge_kept(examined: Examination, spec: str, file: Path, yes: bool, quiet: bool) -> int:
    """Ask the teacher `spec` about every training chain that is kept and that nobody judged; returns how
    many opinions came. Raises UsageError where nobody is there to agree to the price."""
    task, rubric = examined.task, examined.settings.checks["judge"]["rubric"]
    cases = lacking(_cases(examined), read_opinions(file), rubric)
    with parse_teacher(spec) as teacher:
        cost = bill(
            task,
            cases,
            teacher.model,
            rubric,
            task.teacher.price if _own(examined, teacher.model) else None,
        )
        if not cases:
            return 0
        if not quiet:
            print(_said(cost, teacher.model), flush=True)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(
                    f"{_said(cost, teacher.model)}, and nobody is at the terminal to agree; "
                    "agree with --yes"
                )
            typer.confirm("ask?", abort=True, err=quiet)
        console = Console(stderr=True, quiet=quiet)
        with console.status("asking the judge") as status:
            return ask_judge(
                *(task, cases, teacher, file, rubric),
                told=lambda n: status.update(f"asking the judge ({n:,} of {len(cases):,} chains)"),
            )


def _own(examined: Examination, model: str) -> bool:
    return examined.task.teacher.model in ("", model)


def _cases(examined: Examination) -> list[Case]:
    kept = examined.rows.filter((pl.col("split") == "train") & pl.col("reason").is_null())
    texts = examined.texts(kept).filter(pl.col("rationale").is_not_null())
    columns = texts.select("input", "rationale", "answer_raw").iter_rows()
    return [Case(asked, chain, answer or "") for asked, chain, answer in columns]


def _said(cost: Bill, model: str) -> str:
    price = "a price that nobody knows" if cost.usd is None else f"about ${cost.usd:,.2f}"
    return (
        f"judging {cost.cases:,} chains in {cost.questions:,} questions to {model} costs {price} "
        f"({cost.input_tokens:,} tokens in, at most {cost.output_tokens:,} out)"
    )

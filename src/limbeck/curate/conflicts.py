"""Inputs that were answered in different ways, and what became of them.

Where an outcome tells which answer is right, the right ones may train. Where none does, but all
answers but one come with a reply that a check found fault with, that one stands. Otherwise nobody
knows, and all traces of the input are set apart as `conflicting_truth`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from limbeck.curate.chain import excerpt
from limbeck.types import Noun, Task
from limbeck.verify.table import judge

EXAMPLES = 5
_NO_REPLY = ("failed_call", "student_reply")


class Conflict(Noun):
    """One input, how often each answer was given, and the one that stands, if any."""

    input: str
    answers: dict[str, int]
    truth: str | None
    truth_source: str | None


class Conflicts(Noun):
    """How many inputs have different answers, and how each was settled."""

    inputs: int = 0
    traces: int = 0
    by_outcome: int = 0
    by_checks: int = 0
    set_apart: int = 0
    examples: tuple[Conflict, ...] = ()
    """Those set apart come first, then those with the most traces."""


def find_conflicts(
    rows: pl.DataFrame, task: Task, texts: Callable[[pl.DataFrame], pl.DataFrame]
) -> Conflicts:
    """The conflicts among the replies of an examined index; the task judges what is different.

    `texts` gives the texts of some of `rows`.
    """
    replied = pl.col("reason").is_in(_NO_REPLY).fill_null(False).not_()
    answered = (
        rows.lazy()
        .filter(pl.col("answer").is_not_null() & replied)
        .select("key", "part", "row", "answer", "truth", "truth_source")
        # Most inputs were asked once, and need not be counted.
        .filter(pl.col("key").is_duplicated())
        .collect()
    )
    several = answered.filter(pl.col("answer").n_unique().over("key") > 1)
    grouped = several.group_by("key").agg(
        pl.col("part", "row").first(),
        pl.col("answer"),
        pl.col("truth", "truth_source").drop_nulls().first(),
    )
    found = [row for row in grouped.sort("key").to_dicts() if _differ(row, task)]
    found.sort(key=lambda row: (row["truth"] is not None, -len(row["answer"]), row["key"]))
    apart = sum(row["truth"] is None for row in found)
    by_checks = sum(
        row["truth"] is not None and row["truth_source"] == "teacher_agreement" for row in found
    )
    return Conflicts(
        inputs=len(found),
        traces=sum(len(row["answer"]) for row in found),
        by_outcome=len(found) - apart - by_checks,
        by_checks=by_checks,
        set_apart=apart,
        examples=_examples(found[:EXAMPLES], texts),
    )


def _differ(row: dict[str, Any], task: Task) -> bool:
    first, *others = sorted(set(row["answer"]))
    return any(judge(task, other, first).score < 0.5 for other in others)


def _examples(
    found: list[dict[str, Any]], texts: Callable[[pl.DataFrame], pl.DataFrame]
) -> tuple[Conflict, ...]:
    if not found:
        return ()
    places = {name: [row[name] for row in found] for name in ("part", "row")}
    inputs = texts(pl.DataFrame(places))["input"].to_list()
    return tuple(_example(row, asked) for row, asked in zip(found, inputs, strict=True))


def _example(row: dict[str, Any], asked: str) -> Conflict:
    counts: dict[str, int] = {}
    for answer in row["answer"]:
        said = excerpt(answer, 120)
        counts[said] = counts.get(said, 0) + 1
    return Conflict(
        input=excerpt(asked, 300),
        answers=dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))),
        truth=None if row["truth"] is None else excerpt(row["truth"], 120),
        truth_source=row["truth_source"],
    )

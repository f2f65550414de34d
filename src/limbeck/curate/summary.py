"""The numbers of a curation: the funnel, the drops, the labels, the teacher's own accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
from scipy.stats import binomtest

from limbeck.curate.conflicts import Conflicts, find_conflicts
from limbeck.curate.contamination import Contamination
from limbeck.curate.decide import Decided
from limbeck.curate.duplicates import Clusters
from limbeck.curate.splits import SPLITS
from limbeck.types import Noun, Task

_NOT_A_REPLY = ("failed_call", "student_reply")
_LEAKS = ("leakage", "near_leakage")
_REPEATS = ("duplicate", "over_budget", "near_duplicate", "same_meaning")
_NOT_TRUE = ("conflicting_truth", "unknown_truth")
_COUNTED = ("split", "truth", "truth_source", "correct", "words")
MANY_LABELS = 100
"""With more different answers than this there is no balance to show."""


class Stage(Noun):
    """How many traces were left after a stage."""

    name: str
    left: int


class Accuracy(Noun):
    """The teacher's own answers against outcomes, with the 95 % Wilson interval."""

    right: int
    known: int
    share: float
    low: float
    high: float


class Generator(Noun):
    """Who wrote the replies, and under which licence notes they came."""

    name: str
    traces: int
    simulated: int
    licences: tuple[str, ...]


class Lengths(Noun):
    """Chains of a split in words: their number and quantiles; zeros where there are none."""

    chains: int
    without: int
    low: int
    median: int
    high: int
    longest: int


class Summary(Noun):
    """Every number that the data card shows; dictionaries are by split unless said otherwise."""

    traces: int
    ran_on: int
    with_outcome: int
    funnel: tuple[Stage, ...]
    splits: dict[str, int]
    drops: dict[str, dict[str, int]]
    """By reason, then by split; the most frequent reason first."""
    labels: dict[str, dict[str, int]]
    truth_sources: dict[str, dict[str, int]]
    teacher: dict[str, Accuracy]
    lengths: dict[str, Lengths]
    generators: tuple[Generator, ...]
    near: Clusters = Clusters()
    """Near-duplicates among what may train, before they are dropped where that is asked for."""
    conflicts: Conflicts = Conflicts()
    contamination: Contamination = Contamination()


def summarize(
    decided: Decided, task: Task, texts: Callable[[pl.DataFrame], pl.DataFrame]
) -> Summary:
    """The numbers of what was decided about an index; `texts` gives the texts of some of its rows."""
    rows = decided.rows
    kept = rows.lazy().filter(pl.col("reason").is_null()).select(_COUNTED).collect()
    by_split = {name: kept.filter(pl.col("split") == name) for name in SPLITS}
    del kept
    by_split = {k: v for k, v in by_split.items() if k != "shifted" or not v.is_empty()}
    return Summary(
        traces=rows.height,
        ran_on=int(rows["ran_on"].sum()),
        with_outcome=int(rows["outcome_source"].is_not_null().sum()),
        funnel=_funnel(rows),
        splits={name: part.height for name, part in by_split.items()},
        drops=_drops(rows),
        labels={name: _counts(part, "truth", MANY_LABELS) for name, part in by_split.items()},
        truth_sources={name: _counts(part, "truth_source") for name, part in by_split.items()},
        teacher={
            name: found
            for name, part in by_split.items()
            if name != "train" and (found := _accuracy(part)) is not None
        },
        lengths={name: _lengths(part) for name, part in by_split.items()},
        generators=_generators(rows),
        near=decided.clusters,
        conflicts=find_conflicts(rows, task, texts),
        contamination=decided.contamination,
    )


def accuracy(right: int, known: int) -> Accuracy:
    """A proportion with its 95 % Wilson interval; `known` must be at least 1."""
    interval = binomtest(right, known).proportion_ci(confidence_level=0.95, method="wilson")
    return Accuracy(
        right=right,
        known=known,
        share=right / known,
        low=float(interval.low),
        high=float(interval.high),
    )


def _funnel(rows: pl.DataFrame) -> tuple[Stage, ...]:
    """Each stage takes out its own reasons; what no earlier stage names was dropped by a check."""
    reason = pl.col("reason")
    checks = reason.is_in([*_NOT_A_REPLY, *_NOT_TRUE, *_LEAKS, *_REPEATS, "contamination"]).not_()
    stages = (
        ("teacher's replies", reason.is_in(_NOT_A_REPLY)),
        ("in no evaluation set", reason == "contamination"),
        ("in one split only", reason.is_in(_LEAKS)),
        ("passed the checks", checks),
        ("truth known", reason.is_in(_NOT_TRUE)),
        ("one an input", reason.is_in(_REPEATS)),
    )
    left = rows.height
    funnel = [Stage(name="traces", left=left)]
    for name, dropped in stages:
        left -= rows.select(dropped.fill_null(False).sum()).item()
        funnel.append(Stage(name=name, left=left))
    return tuple(funnel)


def _drops(rows: pl.DataFrame) -> dict[str, dict[str, int]]:
    dropped = rows.select("reason", "split").filter(pl.col("reason").is_not_null())
    total = dropped.group_by("reason").len().sort("len", "reason", descending=[True, False])
    return {
        reason: _counts(dropped.filter(pl.col("reason") == reason), "split")
        for reason in total["reason"]
    }


def _counts(part: pl.DataFrame, column: str, most: int | None = None) -> dict[str, int]:
    """How often each value occurs, the most frequent first; empty if there are more than `most`."""
    counted = part.group_by(column).len().sort("len", column, descending=[True, False])
    if most is not None and counted.height > most:
        return {}
    return {str(value): count for value, count in counted.iter_rows() if value is not None}


def _accuracy(part: pl.DataFrame) -> Accuracy | None:
    known = part["correct"].drop_nulls()
    return accuracy(int(known.sum()), known.len()) if known.len() else None


def _lengths(part: pl.DataFrame) -> Lengths:
    counts = part["words"].drop_nulls().sort().to_list()

    def quantile(share: float) -> int:
        return counts[min(len(counts) - 1, int(share * len(counts)))] if counts else 0

    return Lengths(
        chains=len(counts),
        without=part.height - len(counts),
        low=quantile(0.05),
        median=quantile(0.5),
        high=quantile(0.95),
        longest=quantile(1.0),
    )


def _generators(rows: pl.DataFrame) -> tuple[Generator, ...]:
    grouped = (
        rows.group_by("generator")
        .agg(pl.len(), pl.col("simulated").sum(), pl.col("licence").drop_nulls().unique().sort())
        .sort("len", "generator", descending=[True, False])
    )
    found: list[dict[str, Any]] = grouped.to_dicts()
    return tuple(
        Generator(
            name=row["generator"],
            traces=row["len"],
            simulated=row["simulated"],
            licences=tuple(row["licence"]),
        )
        for row in found
    )

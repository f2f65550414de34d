"""What is true of an input, as far as anybody knows.

The truth belongs to the input, not to the trace: where the same input was asked several times and
one of the traces has an outcome, all of them have it. The most trusted source wins; where equally
trusted sources disagree, the input is set apart. Without any outcome the teacher's own answer
stands in, and is called `teacher_agreement`, so that nobody takes it for more.
"""

from __future__ import annotations

import polars as pl

from limbeck.types import TRUST, Task
from limbeck.verify.table import judge

_AGREEMENT = "teacher_agreement"
_SOURCES = {rank: name for name, rank in TRUST.items()}


def settle(frame: pl.DataFrame, task: Task, votes: pl.Series | None = None) -> pl.DataFrame:
    """`frame` with `truth`, `truth_source`, `conflict` (evidence, or null) and `correct` settled.

    `votes` says whose answers stand in where no outcome exists; without it nobody's do. `correct`
    stays null where the truth is only the teacher's agreement with itself.
    """
    voting = pl.lit(False) if votes is None else votes
    rows = frame.select("key", "answer", "outcome_source", "correct", *_said(), votes=voting)
    several = pl.col("key").is_duplicated()
    settled = _by_input(rows.filter(several), task)
    known = (
        rows.select("key", "answer", "correct", several.alias("several"), *_alone())
        .join(settled, on="key", how="left", maintain_order="left")
        .select(
            "answer",
            "correct",
            pl.when("several").then("truth").otherwise("own_truth").alias("truth"),
            pl.when("several").then("truth_source").otherwise("own_source").alias("truth_source"),
            "conflict",
        )
    )
    return frame.with_columns(
        known.select("truth", "truth_source", "conflict", _correct(known, task))
    )


def _said() -> tuple[pl.Expr, pl.Expr]:
    """The answer that a trace's own outcome calls true, and how far that is to be trusted."""
    told = pl.col("outcome_source").is_not_null()
    confirmed = pl.col("correct").fill_null(False)
    said = (
        pl.when(told & pl.col("outcome").is_not_null())
        .then("outcome")
        .when(told & confirmed)
        .then("answer")
    )
    trust = pl.col("outcome_source").replace_strict(TRUST, return_dtype=pl.Int8)
    return said.alias("said"), pl.when(said.is_not_null()).then(trust).alias("trust")


def _alone() -> tuple[pl.Expr, pl.Expr]:
    """The truth of an input that was asked once, and its source: what `_by_input` finds of most inputs,
    with less work."""
    told = pl.col("trust").is_not_null()
    silent = pl.col("correct").is_null() & pl.col("outcome_source").is_null()
    truth = pl.when(told).then("said").when(silent & pl.col("votes")).then("answer")
    source = (
        pl.when(told)
        .then(pl.col("trust").replace_strict(_SOURCES, return_dtype=pl.String))
        .when(truth.is_not_null())
        .then(pl.lit(_AGREEMENT))
    )
    return truth.alias("own_truth"), source.alias("own_source")


def _by_input(rows: pl.DataFrame, task: Task) -> pl.DataFrame:
    """`truth`, `truth_source` and `conflict` of each key."""
    trusted = pl.col("said").filter(pl.col("trust") == pl.col("trust").max())
    votes = pl.col("answer").filter(pl.col("votes") & pl.col("outcome_source").is_null())
    found = rows.group_by("key", maintain_order=True).agg(
        pl.col("trust").max(),
        trusted.drop_nulls().unique(maintain_order=True).alias("said"),
        votes.drop_nulls().unique(maintain_order=True).alias("voted"),
        # An outcome is never overruled by agreement: a trace whose answer is known to be wrong must
        # not lend that answer to the traces beside it.
        pl.col("correct").is_null().all().alias("silent"),
    )
    values = (
        pl.when(pl.col("trust").is_not_null())
        .then("said")
        .when("silent")
        .then("voted")
        .otherwise(pl.lit([], dtype=pl.List(pl.String)))
    )
    found = found.select("key", "trust", values.alias("values")).with_columns(
        pl.coalesce(
            pl.col("trust").replace_strict(_SOURCES, return_dtype=pl.String),
            pl.when(pl.col("values").list.len() > 0).then(pl.lit(_AGREEMENT)),
        ).alias("truth_source")
    )
    several = found.filter(pl.col("values").list.len() > 1)
    said = [
        _conflict(values, source, task)
        for values, source in several.select("values", "truth_source").iter_rows()
    ]
    conflicts = several.select("key").with_columns(pl.Series("conflict", said, dtype=pl.String))
    found = found.join(conflicts, on="key", how="left", maintain_order="left")
    truth = pl.when(pl.col("conflict").is_null()).then(pl.col("values").list.min())
    return found.select("key", truth.alias("truth"), "truth_source", "conflict")


def _conflict(values: list[str], source: str, task: Task) -> str | None:
    """The evidence that what one source says of one input does not fit together."""
    first, *rest = values
    others = [value for value in rest if not _same(task, value, first)]
    if not others:
        return None
    listed = ", ".join(repr(value) for value in sorted({first, *others})[:4])
    return f"{source} gives one input different answers: {listed}"


def _correct(known: pl.DataFrame, task: Task) -> pl.Series:
    """Whether each answer is right, as far as the settled truth tells."""
    pairs = known.select("answer", "truth").drop_nulls()
    pairs = pairs.filter(pl.col("answer") != pl.col("truth")).unique(maintain_order=True)
    same = [_same(task, answer, truth) for answer, truth in pairs.iter_rows()]
    judged = pairs.with_columns(pl.Series("same", same, dtype=pl.Boolean))
    untold = pl.col("truth").is_null() | (pl.col("truth_source") == _AGREEMENT).fill_null(True)
    right = (
        pl.when(untold)
        .then("correct")
        .when(pl.col("answer").is_null())
        .then(False)
        .when(pl.col("answer") == pl.col("truth"))
        .then(True)
        .otherwise("same")
    )
    held = known.join(judged, on=["answer", "truth"], how="left", maintain_order="left")
    return held.select(right.alias("correct")).to_series()


def _same(task: Task, answer: str, truth: str) -> bool:
    # Both are in the task's form already, so that the choices of the call change nothing.
    return judge(task, answer, truth).score >= 0.5

"""The order in which traces are dropped; the first reason that applies is the one that is given."""

from __future__ import annotations

import polars as pl

from limbeck.curate import duplicates, splits
from limbeck.curate.settings import CurateSettings
from limbeck.curate.truth import settle
from limbeck.types import Task


def decide(
    frame: pl.DataFrame, verdicts: pl.DataFrame, task: Task, settings: CurateSettings
) -> pl.DataFrame:
    """`frame` with the truth settled, and the first `reason` to drop each row with its evidence."""
    train = pl.col("split") == "train"
    frame = _with_first_failure(frame, verdicts).with_columns(
        pl.lit(None, dtype=pl.String).alias("reason"),
        pl.lit(None, dtype=pl.String).alias("evidence"),
    )
    failed = (pl.col("status") == "error") & pl.col("answer").is_null()
    frame = _drop(frame, "failed_call", pl.when(failed).then(pl.lit("the call gave no reply")))
    by_student = pl.col("source") == "student"
    frame = _drop(frame, "student_reply", pl.when(by_student).then(pl.lit("a student answered it")))
    # In `train` a reply that fails a check has no say in what is true; elsewhere all have, since
    # the quality of a chain must not decide which inputs judge.
    may_vote = pl.col("reason").is_null() & (~train | pl.col("failed_check").is_null())
    frame = settle(frame, task, frame.select(may_vote.alias("votes"))["votes"])
    frame = _drop_untrue(frame, ~train)
    left = frame.filter(pl.col("reason").is_null())
    leaks = left.select("trace_id", splits.leaks(left).alias("leak"))
    frame = frame.join(leaks, on="trace_id", how="left", maintain_order="left")
    frame = _drop(frame, "leakage", pl.col("leak"))
    by_check = train & pl.col("reason").is_null() & pl.col("failed_check").is_not_null()
    frame = frame.with_columns(
        pl.when(by_check).then("failed_check").otherwise("reason").alias("reason"),
        pl.when(by_check).then("failed_evidence").otherwise("evidence").alias("evidence"),
    )
    frame = _drop_untrue(frame, train)
    left = frame.filter(pl.col("reason").is_null())
    repeated = left.select(
        "trace_id", duplicates.repeats(left, settings.duplicates).alias("repeat")
    )
    frame = frame.join(repeated, on="trace_id", how="left", maintain_order="left")
    frame = _drop(frame, "duplicate", pl.col("repeat"))
    return frame.drop("leak", "repeat", "failed_check", "failed_evidence")


def _with_first_failure(frame: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    first = (
        verdicts.filter(~pl.col("verdict"))
        .unique("trace_id", keep="first", maintain_order=True)
        .select(
            "trace_id",
            pl.col("check").alias("failed_check"),
            pl.col("evidence").alias("failed_evidence"),
        )
    )
    return frame.join(first, on="trace_id", how="left", maintain_order="left")


def _drop_untrue(frame: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
    """Drop the rows of `where` whose truth is disputed or unknown."""
    frame = _drop(frame, "conflicting_truth", pl.when(where).then(pl.col("conflict")))
    unread = pl.format("the outcome {} is not in the task's form", pl.col("outcome_raw"))
    unknown = (
        pl.when(pl.col("outcome_raw").is_not_null())
        .then(unread)
        .when(pl.col("correct").eq(False))
        .then(pl.lit("the answer is known to be wrong, but not what is right"))
        .otherwise(pl.lit("there is no outcome, and no answer in the task's form"))
    )
    return _drop(frame, "unknown_truth", pl.when(where & pl.col("truth").is_null()).then(unknown))


def _drop(frame: pl.DataFrame, reason: str, evidence: pl.Expr) -> pl.DataFrame:
    """Give `reason` to the rows with evidence that have none yet."""
    fresh = pl.col("reason").is_null() & pl.col("new_evidence").is_not_null()
    return (
        frame.with_columns(evidence.cast(pl.String).alias("new_evidence"))
        .with_columns(
            pl.when(fresh).then(pl.lit(reason)).otherwise("reason").alias("reason"),
            pl.when(fresh).then("new_evidence").otherwise("evidence").alias("evidence"),
        )
        .drop("new_evidence")
    )

"""The order in which traces are dropped; the first reason that applies is the one that is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from limbeck.curate import duplicates, splits
from limbeck.curate.contamination import Contamination, Evaluation, contaminated
from limbeck.curate.grams import Places
from limbeck.curate.near import sketch
from limbeck.curate.settings import CurateSettings
from limbeck.curate.truth import settle
from limbeck.types import Task


@dataclass(frozen=True)
class Decided:
    """`rows` is the frame with the truth settled, and the first `reason` to drop each row with its
    evidence; the rest is what was counted on the way."""

    rows: pl.DataFrame
    clusters: duplicates.Clusters
    contamination: Contamination


def decide(
    frame: pl.DataFrame,
    verdicts: pl.DataFrame,
    task: Task,
    settings: CurateSettings,
    evaluation: Evaluation | None = None,
) -> Decided:
    """Whether each row may train or judge, and why not. `evaluation` must not be trained on."""
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
    contamination = Contamination()
    if evaluation is not None:
        said, contamination = contaminated(frame, evaluation, settings.contamination)
        frame = _drop(frame, "contamination", pl.lit(said))
    frame = _drop_found(frame, "leakage", splits.leaks)
    near = _Inputs(frame.filter(pl.col("reason").is_null()), settings.duplicates)
    frame = _drop_found(
        frame, "near_leakage", lambda left: splits.near_leaks(left, near.sketches, near.rows(left))
    )
    by_check = train & pl.col("reason").is_null() & pl.col("failed_check").is_not_null()
    frame = frame.with_columns(
        pl.when(by_check).then("failed_check").otherwise("reason").alias("reason"),
        pl.when(by_check).then("failed_evidence").otherwise("evidence").alias("evidence"),
    )
    frame = _drop_untrue(frame, train)
    frame = _drop_found(
        frame, "duplicate", lambda left: duplicates.repeats(left, settings.duplicates)
    )
    left = frame.filter(pl.col("reason").is_null())
    repeated, clusters = duplicates.near_repeats(
        left, task, settings.duplicates, near.sketches, near.rows(left)
    )
    frame = _drop_found(frame, "near_duplicate", lambda _: repeated)
    return Decided(frame.drop("failed_check", "failed_evidence"), clusters, contamination)


class _Inputs:
    """The sketches of the different inputs of a frame, and which of them is that of a row."""

    def __init__(self, frame: pl.DataFrame, settings: duplicates.DuplicateSettings) -> None:
        self._places = frame.select(pl.col("key").unique(maintain_order=True)).with_row_index("at")
        self.sketches = sketch(
            self._places["key"], settings.shingle, settings.similarity, settings.numbers
        )

    def rows(self, frame: pl.DataFrame) -> Places:
        """The place of each row's input among the sketches, (N,)."""
        joined = frame.select("key").join(self._places, on="key", how="left", maintain_order="left")
        return joined["at"].to_numpy().astype(np.int64)


def _drop_found(
    frame: pl.DataFrame, reason: str, find: Callable[[pl.DataFrame], pl.Series]
) -> pl.DataFrame:
    """Give `reason` to the rows that have none yet and that `find` has evidence against."""
    left = frame.filter(pl.col("reason").is_null())
    found = left.select("trace_id", find(left).alias("found"))
    joined = frame.join(found, on="trace_id", how="left", maintain_order="left")
    return _drop(joined, reason, pl.col("found")).drop("found")


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

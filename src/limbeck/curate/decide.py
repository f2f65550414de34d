"""The order in which traces are dropped; the first reason that applies is the one that is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from limbeck.curate import contamination, duplicates, splits
from limbeck.curate.budget import over_budget
from limbeck.curate.contamination import Contamination, Evaluation, Hits, Lookup
from limbeck.curate.grams import Places
from limbeck.curate.near import Sketches
from limbeck.curate.semantic import load_embedder, semantic_repeats
from limbeck.curate.settings import CurateSettings
from limbeck.curate.truth import settle
from limbeck.types import Task

COMPARED = (
    "at", "trace_id", "key", "group", "fixed_split", "split", "chain", "characters", "answer", "correct",
    "text", "looked",
)  # fmt: skip
"""Columns that tell whether a trace repeats another."""
_ALL = pl.lit(True)


@dataclass(frozen=True)
class Found:
    """What the texts of an index say, beside its rows.

    `inputs` are sketches of those of its different inputs that may be near another; the column `text`
    of the index says which is whose, and is null where there is none. `chains` are those of the chains
    of one input, where several may be kept; the column `looked` says which is whose. `hits` are what
    stands in `evaluation` too, which must not be trained on.
    """

    inputs: Sketches
    chains: Sketches | None = None
    hits: Hits | None = None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Decided:
    """`rows` is the index with the truth settled, and the first `reason` to drop each trace with its
    evidence; the rest is what was counted on the way."""

    rows: pl.DataFrame
    clusters: duplicates.Clusters
    contamination: Contamination


def decide(
    rows: pl.DataFrame, found: Found, task: Task, settings: CurateSettings, lookup: Lookup
) -> Decided:
    """Whether each trace may train or judge, and why not. `rows` is an index with `text` and `looked`, and with
    `failed_check` and `failed_evidence`, the first check that it does not pass."""
    train = pl.col("split") == "train"
    frame = rows.with_row_index("at").with_columns(
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
    counts = Contamination()
    if found.evaluation is not None and found.hits is not None:
        said, counts = contamination.contaminated(
            frame, found.hits, found.evaluation, settings.contamination, lookup
        )
        frame = _drop(frame, "contamination", pl.lit(said))
    frame = _drop_found(frame, "leakage", lambda left: splits.leaks(left, task))
    sketched = pl.col("text").is_not_null()
    frame = _drop_found(
        frame,
        "near_leakage",
        lambda left: splits.near_leaks(left, found.inputs, _texts(left)),
        sketched,
    )
    by_check = train & pl.col("reason").is_null() & pl.col("failed_check").is_not_null()
    frame = frame.with_columns(
        pl.when(by_check).then("failed_check").otherwise("reason").alias("reason"),
        pl.when(by_check).then("failed_evidence").otherwise("evidence").alias("evidence"),
    )
    frame = _drop_untrue(frame, train)
    frame = _drop_found(
        frame,
        "duplicate",
        lambda left: duplicates.repeats(left, settings.duplicates, found.chains),
    )
    given = settings.duplicates
    if given.sampler != "best":
        frame = _drop_found(
            frame,
            "over_budget",
            lambda left: over_budget(left, given.per_input, given.sampler, lookup),
        )
    left = _left(frame, sketched)
    repeated, clusters = duplicates.near_repeats(
        left, task, settings.duplicates, found.inputs, _texts(left)
    )
    frame = _drop_found(frame, "near_duplicate", lambda _: repeated, sketched)
    embedder = settings.duplicates.embedder
    if embedder is not None:
        embed = load_embedder(embedder)
        frame = _drop_found(
            frame,
            "same_meaning",
            lambda left: semantic_repeats(left, task, settings.duplicates, lookup, embed),
        )
    return Decided(frame.drop("at", "looked", "failed_check", "failed_evidence"), clusters, counts)


def _texts(rows: pl.DataFrame) -> Places:
    """Which of the different inputs is that of each row, (N,)."""
    return rows["text"].to_numpy().astype(np.int64)


def _left(frame: pl.DataFrame, among: pl.Expr = _ALL) -> pl.DataFrame:
    """What is compared of the rows `among` which nothing dropped so far."""
    return frame.lazy().filter(pl.col("reason").is_null() & among).select(COMPARED).collect()


def _drop_found(
    frame: pl.DataFrame,
    reason: str,
    find: Callable[[pl.DataFrame], pl.Series],
    among: pl.Expr = _ALL,
) -> pl.DataFrame:
    """Give `reason` to the rows `among` which `find` has evidence against and that have none yet."""
    left = _left(frame, among)
    evidence = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    return _drop(frame, reason, pl.lit(evidence.scatter(left["at"], find(left))))


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

"""When no dataset can be made at all, and the sentence that says why."""

from __future__ import annotations

import polars as pl

from limbeck.curate.examination import Examination


def refusal(examined: Examination) -> str | None:
    """Why no dataset can be made of these traces, in one sentence; None where one can."""
    rows, name = examined.rows, examined.task.name
    if rows.is_empty():
        return (
            f"the task {name!r} has no traces; wanted some to curate; "
            f"bring them in with: limbeck import FILE --task {name}"
        )
    train = rows.filter(pl.col("split") == "train")
    if train.is_empty():
        return (
            f"none of the {rows.height:,} traces of {name!r} belongs to the split 'train'; wanted "
            f"some; import those rows without --split, or raise splits.train in the task file"
        )
    kept = train.filter(pl.col("reason").is_null())
    if kept.is_empty():
        return (
            f"nothing is left to train on: all {train.height:,} training traces of {name!r} were "
            f"dropped, {_biggest(train)}"
        )
    labels = kept["answer"].unique().to_list()
    if examined.task.answer.kind == "choice" and len(labels) < 2:
        return (
            f"all {kept.height:,} traces of {name!r} that may train have the answer {labels[0]!r}; "
            f"wanted at least two different answers to tell apart; of {train.height:,} training "
            f"traces {train.height - kept.height:,} were dropped"
            + (f", {_biggest(train)}" if kept.height < train.height else "")
        )
    return None


def _biggest(train: pl.DataFrame) -> str:
    dropped = train.filter(pl.col("reason").is_not_null())
    reason, count = (
        dropped.group_by("reason").len().sort("len", "reason", descending=[True, False]).row(0)
    )
    example = dropped.filter(pl.col("reason") == reason).sort("trace_id").row(0, named=True)
    return (
        f"most ({count:,}) for {reason!r}, such as {example['evidence']!s}; "
        f"see why with: limbeck curate --explain {example['trace_id'][7:19]}"
    )

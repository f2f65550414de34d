"""Which split an input belongs to, and that it stands in no other.

The split is a hash of the group (or of the input, where there is none): it does not depend on what
else is in the store, so that an input never changes sides when more traces come in. A task that splits by
input has its groups in every split, and may keep a share of them for the shifted test alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import polars as pl

from limbeck.curate.frame import short_id
from limbeck.curate.grams import Places
from limbeck.curate.near import Sketches, pairs_between
from limbeck.types import Task

SPLITS = ("train", "validation", "calibration", "test", "shifted")
"""The splits of a dataset. `shifted` is given with the traces, or a share of the groups."""

PRECEDENCE = ("test", "shifted", "calibration", "validation", "train")
"""Of two splits that hold the same input, the one named first keeps it: what is reported last must
be the cleanest."""

_RANK = {split: place for place, split in enumerate(PRECEDENCE)}

_HASHED = ("train", "validation", "calibration", "test")


def assign(frame: pl.DataFrame, task: Task) -> pl.Series:
    """The split of each row of `frame`; a trace that says its split keeps it."""
    bounds, plan = _bounds(task), task.splits
    chosen: list[str] = []
    columns = ("fixed_split", "early", "group", "key")
    for fixed, early, group, key in frame.select(columns).iter_rows():
        if fixed or early:
            chosen.append(fixed or "train")
        elif group is not None and _place(f"{task.name}\x1fshifted\x1f{group}") < plan.shifted:
            chosen.append("shifted")
        else:
            unit = _unit(group if plan.by == "group" else None, key)
            chosen.append(_by_hash(f"{task.name}\x1f{unit}", bounds))
    return pl.Series("split", chosen, dtype=pl.String)


def leaks(frame: pl.DataFrame, task: Task) -> pl.Series:
    """The evidence where a row's input, or its group, stands in a split of higher precedence.

    `frame` has `split`. A group counts only for rows whose split was hashed: where the split came
    with the trace, its author decided what may stand on both sides; and not where the task splits by
    input. Null where nothing leaks.
    """
    ranks = frame.select(
        "key", "group", "fixed_split", pl.col("split").replace_strict(_RANK).alias("rank")
    )
    # A shifted set is shifted on purpose, often by changing the inputs of the very same groups.
    unshifted = pl.col("rank") != _RANK["shifted"]
    by_group = pl.col("rank").filter(unshifted).min().over("group")
    best = ranks.with_row_index("stood").select(
        "stood",
        "rank",
        "group",
        pl.col("rank").min().over("key").alias("key_rank"),
        pl.when(pl.col("group").is_not_null() & pl.col("fixed_split").is_null())
        .then(by_group if task.splits.by == "group" else pl.col("rank"))
        .otherwise(pl.col("rank"))
        .alias("group_rank"),
    )
    leaking = best.filter(pl.min_horizontal("key_rank", "group_rank") < pl.col("rank"))
    said = [
        f"the same input stands in {PRECEDENCE[by_key]}"
        if by_key < own
        else f"its group {group!r} stands in {PRECEDENCE[of_group]}"
        for own, group, by_key, of_group in leaking.drop("stood").iter_rows()
    ]
    evidence = pl.Series("evidence", [None], dtype=pl.String).new_from_index(0, frame.height)
    return evidence.scatter(leaking["stood"], pl.Series(said, dtype=pl.String))


def near_leaks(frame: pl.DataFrame, sketches: Sketches, rows: Places) -> pl.Series:
    """The evidence where a row's input is nearly one of a split of higher precedence, or null.

    `rows` says which of the `sketches` is that of each row's input. A shifted set may be near test:
    it is often made by changing a word of the same inputs.
    """
    ranks = frame["split"].replace_strict(_RANK, return_dtype=pl.Int64).to_numpy()
    order = np.lexsort((ranks, rows))
    texts, first = np.unique(rows[order], return_index=True)
    holder = np.zeros(len(sketches), dtype=np.int64)
    holder[texts] = order[first]
    best = np.full(len(sketches), len(PRECEDENCE), dtype=np.int64)
    best[texts] = ranks[holder[texts]]
    near = np.full(len(sketches), -1, dtype=np.int64)
    percent = np.zeros(len(sketches), dtype=np.int64)
    for rank in range(_RANK["shifted"] + 1, len(PRECEDENCE)):
        # An input that stands in a more trusted split as well leaks as it is, and is judged there.
        pairs = pairs_between(sketches, best < rank, best == rank)
        nearest = np.lexsort((pairs.left, -pairs.similarity, pairs.right))
        others, first = np.unique(pairs.right[nearest], return_index=True)
        near[others] = pairs.left[nearest[first]]
        percent[others] = np.floor(pairs.similarity[nearest[first]] * 100)
    leaking = np.flatnonzero((near[rows] >= 0) & (ranks == best[rows]))
    texts = rows[leaking]
    said = frame.select("trace_id", "split")[holder[near[texts]]].select(
        pl.format(
            "its input is {} % that of {}, which stands in {}",
            pl.Series(percent[texts]),
            short_id("trace_id"),
            pl.col("split"),
        )
    )
    evidence = pl.Series("evidence", [None], dtype=pl.String).new_from_index(0, frame.height)
    return evidence.scatter(leaking, said.to_series())


def _unit(group: str | None, key: str) -> str:
    return f"group\x1f{group}" if group is not None else f"input\x1f{key}"


def _by_hash(unit: str, bounds: Sequence[tuple[str, float]]) -> str:
    place = _place(unit)
    for split, bound in bounds:
        if place < bound:
            return split
    return "train"


def _place(unit: str) -> float:
    """Where a name falls between 0 and 1."""
    return int.from_bytes(hashlib.sha256(unit.encode()).digest()[:8], "big") / 2**64


def _bounds(task: Task) -> list[tuple[str, float]]:
    """The splits, and the share of all inputs that belongs to each or to one before it."""
    sums = list(accumulate(getattr(task.splits, split) for split in _HASHED))
    return [(split, value / sums[-1]) for split, value in zip(_HASHED, sums, strict=True)]

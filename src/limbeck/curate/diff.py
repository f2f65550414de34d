"""Two datasets side by side: what one has that the other has not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.curate.dataset import Dataset
from limbeck.types import Noun

EXAMPLES = 5
"""Traces that are named of each kind of change."""


class Change(Noun):
    """How many traces went from one place to another, and the first of them. A place is a split, the
    reason of a drop, or `not there`."""

    before: str
    after: str
    traces: int
    examples: tuple[str, ...]


class Difference(Noun):
    """What differs between the dataset `before` and the dataset `after`.

    `settings` has what was set otherwise, by its name, with both values. `changes` are of traces by id;
    `reworded` is how many examples of the same trace have another input, rationale, answer or truth.
    `leaks` counts inputs that `before` trained on and `after` judges by: a student of the one must not
    be scored on the other.
    """

    before: str
    after: str
    same: bool
    settings: dict[str, tuple[Any, Any]]
    splits: dict[str, tuple[int, int]]
    changes: tuple[Change, ...]
    reworded: int
    leaks: int


def diff(before: Dataset, after: Dataset) -> Difference:
    """How to get from one dataset to the other."""
    first, second = _places(before), _places(after)
    both = first.join(second, on="trace_id", how="full", coalesce=True, suffix="_after")
    both = both.with_columns(pl.col("place", "place_after").fill_null("not there"))
    moved = both.filter(pl.col("place") != pl.col("place_after"))
    kept = both.filter((pl.col("place") == pl.col("place_after")) & pl.col("content").is_not_null())
    names = list(dict.fromkeys([*before.splits, *after.splits]))
    sizes = [one.manifest.summary.splits for one in (before, after)]
    trained = before.rows("train")["input"]
    judged = [after.rows(split)["input"] for split in after.splits if split != "train"]
    return Difference(
        before=before.path.name,
        after=after.path.name,
        same=before.hash == after.hash,
        settings=_settings(before, after),
        splits={name: (sizes[0].get(name, 0), sizes[1].get(name, 0)) for name in names},
        changes=tuple(_changes(moved)),
        reworded=kept.filter(pl.col("content").ne_missing(pl.col("content_after"))).height,
        leaks=pl.concat(judged).is_in(trained.implode()).sum() if judged else 0,
    )


def _places(dataset: Dataset) -> pl.DataFrame:
    """`trace_id`, `place`, and for an example `content`, a text of all that it says."""
    told = [
        pl.col(name).cast(pl.String).fill_null("\x00")
        for name in ("input", "rationale", "answer", "truth")
    ]
    parts = [
        dataset.rows(split).select(
            "trace_id",
            pl.lit(split).alias("place"),
            pl.concat_str(told, separator="\x1f").alias("content"),
        )
        for split in dataset.splits
    ]
    dropped = dataset.dropped().select(
        "trace_id",
        pl.format("dropped: {}", "reason").alias("place"),
        pl.lit(None, dtype=pl.String).alias("content"),
    )
    return pl.concat([*parts, dropped])


def _changes(moved: pl.DataFrame) -> list[Change]:
    grouped = (
        moved.sort("trace_id")
        .group_by("place", "place_after", maintain_order=True)
        .agg(pl.len().alias("traces"), pl.col("trace_id").head(EXAMPLES).alias("examples"))
        .sort("traces", "place", "place_after", descending=[True, False, False])
    )
    return [
        Change(
            before=row["place"],
            after=row["place_after"],
            traces=row["traces"],
            examples=tuple(row["examples"]),
        )
        for row in grouped.iter_rows(named=True)
    ]


def _settings(before: Dataset, after: Dataset) -> dict[str, tuple[Any, Any]]:
    """Settings and parts of the task that differ, by their dotted names."""
    flat = [
        _flat("", {"settings": one.manifest.settings.model_dump(mode="json")})
        | _flat("", {"task": one.task.model_dump(mode="json")})
        | {"code": one.manifest.code}
        for one in (before, after)
    ]
    names = sorted(set(flat[0]) | set(flat[1]))
    found = {name: (flat[0].get(name), flat[1].get(name)) for name in names}
    return {name: values for name, values in found.items() if values[0] != values[1]}


def _flat(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given:
        return {name: given}
    found: dict[str, Any] = {}
    for key, value in given.items():
        found |= _flat(f"{name}.{key}" if name else str(key), value)
    return found


def find_dataset(name: str, folder: Path) -> Path:
    """The folder that `name` means: a path, or the name of a dataset in `folder`."""
    given = Path(name)
    return given if given.is_dir() or not (folder / name).is_dir() else folder / name

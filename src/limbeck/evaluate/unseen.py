"""What training or selection has seen is no evidence: it is found by hash and by near-duplicate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from limbeck.curate.dataset import Dataset
from limbeck.curate.grams import clean
from limbeck.curate.near import pairs_between, sketch
from limbeck.errors import DatasetError
from limbeck.types import Example, Noun

FITTED = ("train", "validation")
"""The splits that decide a student's weights: one trains them, the other chooses among them."""


class Seen(Noun):
    """Which of `n` items a student has seen: `exact` have the same text, `near` almost the same.

    `rows` are their places; `evidence` is one of them with what it is like.
    """

    n: int
    exact: int
    near: int
    rows: tuple[int, ...] = ()
    evidence: str | None = None


def find_seen(examples: Sequence[Example], dataset: Dataset) -> Seen:
    """The items whose input stands, or nearly stands, in the fitted splits of `dataset`.

    The similarity, and whether texts that differ in a number are different, are the dataset's own.
    """
    seen = [
        text
        for split in FITTED
        if split in dataset.splits
        for text in dataset.rows(split)["input"].to_list()
    ]
    asked = [example.input for example in examples]
    if not seen or not asked:
        return Seen(n=len(asked), exact=0, near=0)
    settings = dataset.manifest.settings.duplicates
    texts = pl.Series([*seen, *asked], dtype=pl.String)
    plain = clean(texts.str.normalize("NFKC").str.to_lowercase())
    known = set(plain[: len(seen)].to_list())
    exact = {at for at, text in enumerate(plain[len(seen) :].to_list()) if text in known}
    trusted = np.arange(len(texts)) < len(seen)
    pairs = pairs_between(
        sketch(texts, settings.shingle, settings.similarity, settings.numbers), trusted, ~trusted
    )
    near = {int(right) - len(seen) for right in pairs.right} - exact
    return Seen(
        n=len(asked),
        exact=len(exact),
        near=len(near),
        rows=tuple(sorted(exact | near)),
        evidence=asked[min(exact | near)][:120] if exact | near else None,
    )


def refuse_seen(student: str, split: str, seen: Seen) -> None:
    """Raises DatasetError where anything of the split was seen in the training of `student`."""
    if not seen.rows:
        return
    raise DatasetError(
        f"{len(seen.rows):,} of {seen.n:,} items of {split} were seen in the training or selection "
        f"of {student!r} ({seen.exact:,} by their text, {seen.near:,} nearly so, such as "
        f"{seen.evidence!r}); leave them out with --skip-seen, or name a split that is fresh"
    )

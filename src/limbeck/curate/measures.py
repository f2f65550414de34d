"""What is measured of each chain while its text is at hand; later only these numbers are.

A curation holds the texts of a batch of traces at a time. Whatever the summary, the caveats and the
card say about chains is counted from these columns.
"""

from __future__ import annotations

import polars as pl

from limbeck.curate.tokens import count_words

WORD = r"\w+(?:['’]\w+)*"
"""A word, as `limbeck.curate.chain.words` divides them."""

MEASURES = pl.Schema({"words": pl.Int64()})
"""Columns that `measure` adds, one row a trace; null where a trace has no chain."""


def measure(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns `MEASURES` for each row of `frame`, in its order; each row by itself."""
    return count_words(frame, "rationale", WORD, joined=True).alias("words").to_frame()

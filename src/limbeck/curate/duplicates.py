"""One input, one example: which of the traces that ask the same is kept.

In `train` the best is kept: among those that passed every check, one whose answer is verified comes
first, then the shortest chain (one word a step fewer is one thing less to learn), then the one that
stands first. In the other splits the first is kept, whatever the answer: to choose the better reply
there would flatter the teacher. Rows stand in the order of a hash of what was asked and said.
"""

from __future__ import annotations

import polars as pl
from pydantic import Field

from limbeck.types import Noun


class DuplicateSettings(Noun):
    per_input: int = Field(1, ge=1)
    """How many traces of one input may train; more than one is for recipes that sample chains."""


def repeats(frame: pl.DataFrame, settings: DuplicateSettings) -> pl.Series:
    """The evidence for each row of `frame` that repeats the input of a better one, or null.

    `frame` has `split`, `correct` and the columns of a trace, and only rows that no check dropped.
    """
    train = pl.col("split") == "train"
    ranked = frame.with_row_index("row").sort(
        pl.col("key"),
        pl.when(train).then(~pl.col("correct").fill_null(False)),
        pl.when(train).then(pl.col("rationale").is_null()),
        pl.when(train).then(pl.col("rationale").str.len_chars()),
        pl.col("row"),
        nulls_last=True,
    )
    place = pl.int_range(pl.len()).over("key")
    # A chain that is there already teaches nothing new, even where several chains are wanted.
    copy = pl.struct(
        pl.col("rationale").fill_null("").str.to_lowercase(), "key"
    ).is_first_distinct()
    ranked = ranked.with_columns(
        copy.alias("new"), pl.col("trace_id").first().over("key").alias("kept")
    )
    ranked = ranked.with_columns(
        (pl.col("new").cast(pl.Int32).cum_sum().over("key") - 1).alias("chains"),
        place.alias("place"),
    )
    allowed = pl.when(train).then(settings.per_input).otherwise(1)
    repeated = (pl.col("place") > 0) & (~pl.col("new") | (pl.col("chains") >= allowed))
    said = pl.format("the same input is kept as {}", pl.col("kept").str.slice(0, 19) + pl.lit("…"))
    return (
        ranked.select("row", pl.when(repeated).then(said).alias("evidence"))
        .sort("row")
        .get_column("evidence")
    )

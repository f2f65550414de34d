"""What is remembered of every trace of a task while the texts lie elsewhere.

One narrow row a trace. All that compares a trace with others (its truth, its split, its duplicates)
is decided on these rows; the texts are looked at one batch at a time.
"""

from __future__ import annotations

import polars as pl

from limbeck.curate.frame import hash64, places_of
from limbeck.curate.near import hash_numbers

INDEX = pl.Schema(
    {
        "trace_id": pl.String(),
        "part": pl.Int32(),
        "row": pl.Int32(),
        "key": pl.UInt64(),
        "numbers": pl.UInt64(),
        "place": pl.UInt64(),
        "group": pl.String(),
        "fixed_split": pl.String(),
        "split": pl.String(),
        "origin": pl.String(),
        "chain": pl.UInt64(),
        "characters": pl.UInt32(),
        "answer": pl.String(),
        "ran_on": pl.Boolean(),
        "status": pl.String(),
        "outcome": pl.String(),
        "outcome_raw": pl.String(),
        "outcome_source": pl.String(),
        "correct": pl.Boolean(),
        "source": pl.String(),
        "generator": pl.String(),
        "simulated": pl.Boolean(),
        "licence": pl.String(),
    }
)
"""One row a trace. Its texts are in the row `row` of the part `part`.

`key` is a hash of the key of a frame, `numbers` of the numbers in it, and `place` of what was asked and
said. `chain` is a hash of the rationale without regard to case and `characters` its length; both are null
where there is none.
"""


def index(frame: pl.DataFrame, part: int) -> pl.DataFrame:
    """The rows `INDEX` of a frame that has `split` and is the part of that number."""
    keys = [hash64(key) for key in frame["key"].to_list()]
    chains = [None if text is None else hash64(text) for text in _folded(frame)]
    made = frame.with_columns(
        pl.lit(part, dtype=pl.Int32).alias("part"),
        pl.int_range(pl.len(), dtype=pl.Int32).alias("row"),
        pl.Series("key", keys, dtype=pl.UInt64),
        pl.Series("numbers", hash_numbers(frame["key"])),
        places_of(frame),
        pl.Series("chain", chains, dtype=pl.UInt64),
        pl.col("rationale").str.len_chars().cast(pl.UInt32).alias("characters"),
    )
    return made.select(list(INDEX))


def in_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Each trace once, in the order in which a dataset has them, whatever batch it came in.

    `parts` is empty afterwards: of a million rows there must not be two copies.
    """
    rows = pl.concat(parts)
    parts.clear()
    order = rows.select(pl.arg_sort_by("place", "trace_id", "part", "row")).to_series()
    ordered = pl.DataFrame([rows.drop_in_place(name).gather(order) for name in rows.columns])
    # Most stores have no trace twice, and a copy of a million rows is not made for nothing.
    again = ordered["trace_id"] == ordered["trace_id"].shift()
    return ordered.filter(~again.fill_null(False)) if again.any() else ordered


def _folded(frame: pl.DataFrame) -> list[str | None]:
    found: list[str | None] = frame["rationale"].str.to_lowercase().to_list()
    return found

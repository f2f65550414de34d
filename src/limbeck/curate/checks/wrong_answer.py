"""The answer is not the true one, where an outcome says what is true.

Catches "deny" where the outcome says "exchange". Lets pass every answer whose truth nobody knows:
agreement of the teacher with itself is no outcome. With `keep = "all"` wrong answers train too (the
"structure, not content" question is the user's to decide).
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_expression, verdicts
from limbeck.types import Task


class Settings(CheckSettings):
    keep: Literal["verified", "all"] = "verified"


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose answer is known to be wrong; `correct` is null where no outcome exists."""
    if settings.keep == "all":
        return verdicts([None] * frame.height)
    said = pl.format(
        "the answer is {}, but {} says {}",
        pl.col("answer").fill_null("missing"),
        pl.col("truth_source").fill_null("the outcome"),
        pl.col("truth").fill_null("that it is wrong"),
    )
    return by_expression(frame, pl.when(pl.col("correct").eq(False)).then(said))

"""The answer is not the true one, where an outcome says what is true.

Catches "deny" where the outcome says "exchange". Lets pass every answer whose truth nobody knows:
agreement of the teacher with itself is no outcome. With `keep = "proven"` those go too, with
`keep = "all"` wrong answers train (the "structure, not content" question is the user's to decide), and
with `keep = "weighted"` they train with the weight `wrong`, and unproven ones with `unproven`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import polars as pl
from pydantic import Field

from limbeck.curate.checks.verdict import CheckSettings, by_expression, verdicts
from limbeck.types import Task


class Settings(CheckSettings):
    keep: Literal["verified", "proven", "all", "weighted"] = "verified"
    """Which traces train: those that no outcome calls wrong, only those that one calls right, all, or
    all with weights."""
    wrong: float = Field(0.3, gt=0, le=1)
    """The weight of an example whose answer is known to be wrong, where `keep` is weighted."""
    unproven: float = Field(0.7, gt=0, le=1)
    """The weight of one of which nobody knows."""


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose answer is known to be wrong; `correct` is null where no outcome exists."""
    if settings.keep in ("all", "weighted"):
        return verdicts([None] * frame.height)
    said = pl.format(
        "the answer is {}, but {} says {}",
        pl.col("answer").fill_null("missing"),
        pl.col("truth_source").fill_null("the outcome"),
        pl.col("truth").fill_null("that it is wrong"),
    )
    wrong = pl.when(pl.col("correct").eq(False)).then(said)
    if settings.keep == "verified":
        return by_expression(frame, wrong)
    unproven = pl.lit("no outcome says that the answer is right")
    return by_expression(frame, wrong.when(pl.col("correct").is_null()).then(unproven))


def weights(given: Mapping[str, Any]) -> pl.Expr:
    """The weight of each training example under the settings `given` of this check."""
    settings = Settings.model_validate(dict(given))
    if settings.keep != "weighted" or not settings.enabled:
        return pl.lit(1.0)
    return (
        pl.when(pl.col("correct"))
        .then(1.0)
        .when(pl.col("correct").is_null())
        .then(settings.unproven)
        .otherwise(settings.wrong)
    )

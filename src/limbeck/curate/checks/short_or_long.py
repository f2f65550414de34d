"""The chain is far shorter or longer than this task's chains are.

Catches a one-word chain among fifty-word chains, and an essay. Lets pass a task whose chains vary
widely anyway: the limits come from the median and the spread of the logarithm of their lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl
from pydantic import Field

from limbeck.curate.checks.verdict import CheckSettings, by_row, verdicts
from limbeck.curate.tokens import count_words
from limbeck.types import Task

_WORD = r"[\p{L}\p{N}_]+"


class Settings(CheckSettings):
    spread: float = Field(6.0, gt=0)
    """How many robust standard deviations from the median, on a log scale, are too many."""
    at_least: int = Field(50, ge=2)
    """With fewer chains than this there is no norm, and every length passes."""


@dataclass(frozen=True)
class Norm:
    """The words that this task's chains have in the middle, and the fewest and most that pass."""

    middle: float
    low: float
    high: float


def fit(sample: pl.DataFrame, task: Task, settings: Settings) -> Norm | None:
    """What is usual; None where too few chains are there to know it."""
    counts = sample["rationale"].drop_nulls().str.count_matches(_WORD)
    if counts.len() < settings.at_least:
        return None
    known = (counts.cast(pl.Float64) + 1).log()
    middle = _median(known)
    # 1.4826 makes the median deviation of a normal distribution its standard deviation. The floor
    # keeps a task of near-constant length from calling one more word an outlier.
    scale = max(0.15, 1.4826 * _median((known - middle).abs()))
    return Norm(
        middle=math.exp(middle) - 1,
        low=math.exp(middle - settings.spread * scale) - 1,
        high=math.exp(middle + settings.spread * scale) - 1,
    )


def check(frame: pl.DataFrame, task: Task, settings: Settings, norm: Norm | None) -> pl.DataFrame:
    """Traces whose chain has an unusual number of words; no chain passes."""
    if norm is None:
        return verdicts([None] * frame.height)
    counts = count_words(frame, "rationale", _WORD, joined=False)

    def find(count: int) -> str:
        side = "short" if count < norm.low else "long"
        return (
            f"too {side}: {count:,} words; this task's chains have {norm.middle:.0f} "
            f"in the middle, and {max(norm.low, 0):.0f} to {norm.high:.0f} would pass"
        )

    unusual = (pl.col("words") < norm.low) | (pl.col("words") > norm.high)
    return by_row(counts.alias("words").to_frame(), ["words"], find, unusual)


def _median(values: pl.Series) -> float:
    middle = values.median()
    assert isinstance(middle, float)
    return middle

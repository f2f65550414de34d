"""The chain is far shorter or longer than this task's chains are.

Catches a one-word chain among fifty-word chains, and an essay. Lets pass a task whose chains vary
widely anyway: the limits come from the median and the spread of the logarithm of their lengths.
"""

from __future__ import annotations

import math

import polars as pl
from pydantic import Field

from limbeck.curate.chain import words
from limbeck.curate.checks.verdict import CheckSettings, verdicts
from limbeck.types import Task


class Settings(CheckSettings):
    spread: float = Field(6.0, gt=0)
    """How many robust standard deviations from the median, on a log scale, are too many."""
    at_least: int = Field(50, ge=2)
    """With fewer chains than this there is no norm, and every length passes."""


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain has an unusual number of words; no chain passes."""
    counts = [len(words(text)) if text else None for text in frame["rationale"].to_list()]
    known = sorted(math.log(count + 1) for count in counts if count is not None)
    if len(known) < settings.at_least:
        return verdicts(None for _ in counts)
    middle = _median(known)
    # 1.4826 makes the median deviation of a normal distribution its standard deviation. The floor
    # keeps a task of near-constant length from calling one more word an outlier.
    scale = max(0.15, 1.4826 * _median(sorted(abs(value - middle) for value in known)))
    low = math.exp(middle - settings.spread * scale) - 1
    high = math.exp(middle + settings.spread * scale) - 1

    def find(count: int | None) -> str | None:
        if count is None or low <= count <= high:
            return None
        side = "short" if count < low else "long"
        return (
            f"too {side}: {count:,} words; this task's chains have {math.exp(middle) - 1:.0f} "
            f"in the middle, and {max(low, 0):.0f} to {high:.0f} would pass"
        )

    return verdicts(find(count) for count in counts)


def _median(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2

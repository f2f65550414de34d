"""A step of the chain computes wrongly.

Catches "12 + 7 = 18" and "30 + 15 - 10 = 40". Lets pass rounding ("10 / 3 = 3.33"), careless but
right chains ("5 + 3 = 8 + 2 = 10"), and all that cannot be read with certainty: variables, powers,
clock times, mixed units, "20 % of". A wrong number copied from an earlier step is not seen.
"""

from __future__ import annotations

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.curate.equations import equations, show
from limbeck.types import Task

_LONGEST = 200_000
"""Characters of a chain that are re-computed; a chain of megabytes is not worth minutes."""


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces with an equation whose two sides differ."""

    def find(rationale: str | None) -> str | None:
        for place, equation in enumerate(equations((rationale or "")[:_LONGEST]), start=1):
            if not equation.right:
                return (
                    f"equation {place} says {equation.text!r}, "
                    f"but the left side is {show(equation.value)}"
                )
        return None

    return by_row(frame, ["rationale"], find)

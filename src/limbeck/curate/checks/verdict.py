"""What every check gives back, and the settings that every check has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import polars as pl

from limbeck.types import Noun

VERDICTS = pl.Schema({"verdict": pl.Boolean, "evidence": pl.String})
"""Columns of a check's result, one row a trace in the order of the frame: `verdict` is true where
the trace may train; `evidence` says why not, in words a person can check against the trace."""


class CheckSettings(Noun):
    """What can be set of every check; `enabled = false` switches it off."""

    enabled: bool = True


def verdicts(evidence: Iterable[str | None]) -> pl.DataFrame:
    """The result of a check from the evidence against each trace; `None` lets the trace pass."""
    found = pl.Series("evidence", list(evidence), dtype=pl.String)
    return pl.DataFrame({"verdict": found.is_null(), "evidence": found}, schema=VERDICTS)


def by_row(
    frame: pl.DataFrame,
    columns: list[str],
    find: Callable[..., str | None],
    where: pl.Expr | None = None,
) -> pl.DataFrame:
    """The result of a check that looks at one trace at a time: `find` gets the named columns.

    `where` is a quick test that every trace with evidence against it passes: `find` is asked only
    about the traces for which it is true.
    """
    if where is None:
        series: list[list[Any]] = [frame[column].to_list() for column in columns]
        return verdicts(find(*values) for values in zip(*series, strict=True))
    places = frame.select(where.fill_null(False).arg_true()).to_series()
    said: list[str | None] = [None] * frame.height
    picked = frame.select(columns)[places]
    for place, values in zip(places.to_list(), picked.iter_rows(), strict=True):
        said[place] = find(*values)
    return verdicts(said)


def by_expression(frame: pl.DataFrame, evidence: pl.Expr) -> pl.DataFrame:
    """The result of a check that one polars expression decides: null lets the trace pass."""
    found = frame.select(evidence.cast(pl.String).alias("evidence"))
    return found.select(pl.col("evidence").is_null().alias("verdict"), "evidence")

"""Every check over a set of traces, as a curation runs them, with nothing dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from limbeck.curate.checks.table import CHECKS, load
from limbeck.curate.frame import read_frame
from limbeck.curate.truth import settle
from limbeck.types import Outcome, Task, Trace


def checked(
    traces: Iterable[Trace], task: Task, truths: Mapping[str, Outcome] | None = None
) -> pl.DataFrame:
    """The frame of `traces` with the evidence of each check in a column of its name, and `reason`, the
    first check that fails, null where all pass."""
    frame = settle(read_frame(traces, truths or {}, task), task)
    said = {name: load(name).run(frame, task) for name in CHECKS}
    failed = {
        name: result["evidence"].set(result["verdict"], None) for name, result in said.items()
    }
    frame = frame.with_columns(**{f"check:{name}": found for name, found in failed.items()})
    reason = [pl.when(pl.col(f"check:{name}").is_not_null()).then(pl.lit(name)) for name in CHECKS]
    return frame.with_columns(pl.coalesce(reason).alias("reason"))

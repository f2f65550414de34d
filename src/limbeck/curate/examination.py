"""What a curation decided about every trace, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from limbeck.curate.settings import CurateSettings
from limbeck.curate.summary import Summary
from limbeck.types import Task


@dataclass(frozen=True)
class Examination:
    """What came of every trace, before anything is written.

    `rows` has the columns of a frame and `split`, `truth`, `truth_source`, `correct`, `reason` and
    `evidence` (null where the trace is kept). `verdicts` has `trace_id`, `check`, `verdict` and
    `evidence`, one row a trace and check, also for the splits that no check may touch.
    """

    task: Task
    settings: CurateSettings
    rows: pl.DataFrame
    verdicts: pl.DataFrame
    summary: Summary
    caveats: tuple[str, ...]

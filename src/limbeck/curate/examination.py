"""What a curation decided about every trace, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import polars as pl

from limbeck.curate.originals import Originals
from limbeck.curate.settings import CurateSettings
from limbeck.curate.summary import Summary
from limbeck.types import Task


@dataclass(frozen=True)
class Examination:
    """What came of every trace, before anything is written.

    `rows` has the columns of an index and `truth`, `truth_source`, `correct`, `reason` and `evidence`
    (null where the trace is kept) and the measures of its chain. `failures` has `trace_id`, `check`
    and `evidence`, one row a trace and check that it does not pass, also for the splits that no check
    may touch. The texts are in `originals`, as long as the examination is not closed.
    """

    task: Task
    settings: CurateSettings
    rows: pl.DataFrame
    failures: pl.DataFrame
    summary: Summary
    caveats: tuple[str, ...]
    originals: Originals

    def texts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`trace_id`, `input`, `choices`, `rationale` and `answer_raw` of some of `rows`."""
        return self.originals.texts(rows)

    def with_texts(self) -> pl.DataFrame:
        """`rows` with the texts beside them, all of them in memory."""
        return self.rows.hstack(self.texts(self.rows).drop("trace_id"))

    def close(self) -> None:
        """Give back the disk and the processes that the texts and the work on them took."""
        self.originals.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

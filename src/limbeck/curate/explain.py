"""Why one trace was kept or dropped."""

from __future__ import annotations

import polars as pl

from limbeck.curate.examination import Examination
from limbeck.errors import DatasetError
from limbeck.types import Noun


class Finding(Noun):
    """What one check says of one trace."""

    check: str
    passes: bool
    evidence: str | None = None


class Explanation(Noun):
    """What became of one trace and what every check says of it."""

    trace_id: str
    split: str
    reason: str | None
    evidence: str | None
    truth: str | None
    answer: str | None
    input: str
    chain: str | None
    findings: tuple[Finding, ...]


def explain(examined: Examination, trace_id: str) -> Explanation:
    """Every verdict on one trace; the beginning of its id will do if no other has the same.

    Raises DatasetError if there is no such trace, or more than one.
    """
    wanted = trace_id if trace_id.startswith("sha256:") else f"sha256:{trace_id}"
    found = examined.rows.filter(pl.col("trace_id").str.starts_with(wanted))
    if found.height != 1:
        raise DatasetError(
            f"{found.height:,} traces of the task {examined.task.name!r} have an id that begins "
            f"with {trace_id!r}; wanted exactly one; dropped.parquet of a dataset lists the ids"
        )
    row = found.row(0, named=True)
    failed = examined.failures.filter(pl.col("trace_id") == row["trace_id"])
    against = dict(failed.select("check", "evidence").iter_rows())
    texts = examined.texts(found).row(0, named=True)
    return Explanation(
        **{name: row[name] for name in ("trace_id", "split", "reason", "evidence", "truth")},
        answer=row["answer"] if row["answer"] is not None else texts["answer_raw"],
        input=texts["input"],
        chain=texts["rationale"],
        findings=tuple(
            Finding(check=name, passes=name not in against, evidence=against.get(name))
            for name in (check.name for check in examined.settings.active())
        ),
    )

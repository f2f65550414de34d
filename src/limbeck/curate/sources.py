"""Traces as batches of records, whether they are in memory or in a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import polars as pl

from limbeck.curate.batches import RAW
from limbeck.curate.frame import lists
from limbeck.store.records import Record
from limbeck.store.rows import outcome_row, rationale_row
from limbeck.types import Outcome, PostHoc, Trace

BATCH = 8192
"""Traces that are worked on at once."""
PAGE = 512
"""Traces that are read at once; chains of megabytes are few, but must not come by the thousand."""
BATCH_BYTES = 32_000_000
"""Characters of a batch; chains of megabytes make smaller ones."""


def batches_of(
    traces: Iterable[Trace], truths: Mapping[str, Outcome], post_hoc: Mapping[str, PostHoc]
) -> Iterator[list[Record]]:
    """Traces in memory with what hangs on them, page by page."""
    given = iter(traces)
    while page := list(islice(given, PAGE)):
        yield [_record(trace, truths.get(trace.id), post_hoc.get(trace.id)) for trace in page]


def tables(pages: Iterable[Sequence[Record]]) -> Iterator[pl.DataFrame]:
    """Pages of records as tables with the columns `RAW`, of about BATCH rows or BATCH_BYTES."""
    held: list[Record] = []
    size = 0
    for page in pages:
        for record in page:
            held.append(record)
            size += len(record.content)
            if len(held) >= BATCH or size >= BATCH_BYTES:
                yield _table(held)
                held, size = [], 0
    if held:
        yield _table(held)


def _table(records: Sequence[Record]) -> pl.DataFrame:
    columns = dict(zip(RAW, zip(*records, strict=True), strict=True))
    outcomes = lists("outcomes", columns["outcomes"])
    return pl.DataFrame({**columns, "outcomes": outcomes}, schema=RAW)


def _record(trace: Trace, outcome: Outcome | None, asked: PostHoc | None) -> Record:
    content = trace.content.replace("\0", "\\u0000")
    outcomes = () if outcome is None else (str(outcome_row(outcome, "")["content"]),)
    rationale = None if asked is None else str(rationale_row(asked, "")["content"])
    return Record(trace.id, content, outcomes, rationale)

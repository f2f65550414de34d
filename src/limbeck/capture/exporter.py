"""What a store holds becomes a file: one row a trace, with all that is known of it.

Rationale and answer are as today's task file reads them from the reply. A file is there whole or not
at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from limbeck.capture.reply import reread
from limbeck.errors import DataError
from limbeck.store.store import Store
from limbeck.types import Noun, Outcome, PostHoc, Task, Trace

FileFormat = Literal["parquet", "jsonl"]
BATCH = 5000
"""Rows in memory at a time."""

_TEXTS = (
    *("trace_id", "task", "input", "context", "reply", "thinking", "blocks", "rationale"),
    *("rationale_origin", "answer", "status", "stop_reason", "outcome", "outcome_source"),
    *("group", "split", "source", "generator", "skeleton", "request_id", "correlation"),
    *("subject", "dialect", "licence", "elicited", "tier"),
)
_COUNTS = (
    *("input_tokens", "output_tokens", "cached_tokens", "cache_write_5m_tokens"),
    *("cache_write_1h_tokens", "reasoning_tokens"),
)
_TIMES = ("outcome_at", "created_at")
_NUMBERS = ("cost_usd", "latency_s")
_TRUTHS = ("outcome_correct", "simulated")

Row = dict[str, Any]


class ExportResult(Noun):
    """How many traces of which tasks stand in the file; those of no task under the empty name."""

    path: str
    rows: int
    tasks: dict[str, int]


def export(
    store: Store,
    tasks: Mapping[str, Task],
    names: Iterable[str | None],
    out: Path,
    *,
    form: FileFormat,
    since: datetime | None = None,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ExportResult:
    """Write the traces of the tasks `names` (None: the calls of no task), recorded `since`, to `out`.

    A trace of a task that is not in `tasks` keeps its reply undivided. Raises DataError where the
    file is there already or cannot be written, and StoreError.
    """
    if out.exists() and not force:
        raise DataError(f"{out} is there already; name another file, or overwrite it with --force")
    counted: dict[str, int] = {}

    def rows() -> Iterator[Row]:
        for name in names:
            for row in _rows(store, tasks.get(name or ""), name, since):
                counted[name or ""] = counted.get(name or "", 0) + 1
                if progress is not None and sum(counted.values()) % 1000 == 0:
                    progress(sum(counted.values()))
                yield row

    write = {"parquet": _write_parquet, "jsonl": _write_jsonl}[form]
    try:
        with _whole(out) as partial:
            write(rows(), partial)
    except OSError as error:
        raise DataError(
            f"cannot write {out}: {error.strerror}; check the folder and its free space"
        ) from error
    return ExportResult(path=str(out), rows=sum(counted.values()), tasks=counted)


def _rows(
    store: Store, task: Task | None, name: str | None, since: datetime | None
) -> Iterator[Row]:
    truths, asked = store.truths(name), store.rationales(name)
    for trace in store.traces(name, since=since):
        read = trace if task is None else reread(task, trace)
        yield _row(read, truths.get(trace.id), asked.get(trace.id))


def _row(trace: Trace, outcome: Outcome | None, asked: PostHoc | None) -> Row:
    origin, usage = trace.provenance, trace.usage
    rationale, of = trace.rationale, None if trace.rationale is None else trace.rationale.origin
    text = None if rationale is None else rationale.text
    if text is None and asked is not None:
        text, of = asked.rationale, "post_hoc"
    row = {
        "trace_id": trace.id,
        "task": trace.task,
        "input": trace.input,
        "choices": list(trace.choices),
        "context": trace.context,
        "reply": trace.raw,
        "thinking": trace.thinking,
        "blocks": trace.blocks,
        "rationale": text,
        "rationale_origin": of,
        "answer": trace.answer,
        "status": trace.status,
        "stop_reason": trace.stop_reason,
        "outcome": outcome and outcome.value,
        "outcome_correct": outcome and outcome.correct,
        "outcome_source": outcome and outcome.source,
        "outcome_at": outcome and outcome.at,
        "group": trace.group,
        "split": trace.split,
        **{name: getattr(origin, name) for name in ("source", "generator", "simulated")},
        **{name: getattr(origin, name) for name in ("skeleton", "request_id", "correlation")},
        **{name: getattr(origin, name) for name in ("subject", "dialect", "licence")},
        "elicited": trace.elicited and trace.elicited.how,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cached_tokens": usage.cached,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "reasoning_tokens": usage.reasoning,
        "tier": usage.tier,
        "cost_usd": trace.cost_usd,
        "latency_s": trace.latency_s,
        "created_at": trace.created_at,
    }
    return {name: _encodable(value) for name, value in row.items()}


def _encodable(value: Any) -> Any:
    """Half a surrogate pair is legal in JSON and illegal in UTF-8, which the files are written in."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value


def _write_jsonl(rows: Iterable[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            times = {name: row[name].isoformat() for name in _TIMES if row[name] is not None}
            file.write(json.dumps(row | times, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    # Polars takes a tenth of a second and 50 MB to import.
    import polars as pl

    kinds: dict[str, Any] = dict.fromkeys(_TEXTS, pl.String())
    kinds |= dict.fromkeys(_COUNTS, pl.Int64())
    kinds |= dict.fromkeys(_NUMBERS, pl.Float64())
    kinds |= dict.fromkeys(_TRUTHS, pl.Boolean())
    kinds |= dict.fromkeys(_TIMES, pl.Datetime("us", "UTC"))
    kinds["choices"] = pl.List(pl.String())
    # Parts first, because a table that is too large for the memory can only be read from files.
    parts = Path(tempfile.mkdtemp(prefix=".parts-", dir=path.parent))
    try:
        left = iter(rows)
        number = 0
        while batch := list(islice(left, BATCH)):
            names = list(batch[0])
            table = pl.DataFrame(batch, schema={name: kinds[name] for name in names})
            table.write_parquet(parts / f"{number:08}.parquet")
            number += 1
        if not number:
            pl.DataFrame(schema=kinds).write_parquet(path)
            return
        pl.scan_parquet(parts / "*.parquet").sink_parquet(path, maintain_order=True)
    finally:
        shutil.rmtree(parts)


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A path to write to; what was written there is moved to `out` when all went well."""
    made, name = tempfile.mkstemp(prefix=f".{out.name}-", suffix=".partial", dir=out.parent)
    os.close(made)
    partial = Path(name)
    try:
        yield partial
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)

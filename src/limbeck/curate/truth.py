"""What is true of an input, as far as anybody knows.

The truth belongs to the input, not to the trace: where the same input was asked several times and
one of the traces has an outcome, all of them have it. The most trusted source wins; where equally
trusted sources disagree, the input is set apart. Without any outcome the teacher's own answer
stands in, and is called `teacher_agreement`, so that nobody takes it for more.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl

from limbeck.types import TRUST, Task
from limbeck.verify.table import judge


def settle(frame: pl.DataFrame, task: Task, votes: pl.Series | None = None) -> pl.DataFrame:
    """`frame` with `truth`, `truth_source`, `conflict` (evidence, or null) and `correct` settled.

    `votes` says whose answers stand in where no outcome exists; without it nobody's do. `correct`
    stays null where the truth is only the teacher's agreement with itself.
    """
    voting = pl.lit(False) if votes is None else votes
    rows = frame.select(
        "key", "choices", "answer", "outcome", "outcome_source", "correct", votes=voting
    ).to_dicts()
    by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[row["key"]].append(row)
    settled = {key: _settle_input(asked, task) for key, asked in by_key.items()}
    out: dict[str, list[Any]] = {"truth": [], "truth_source": [], "conflict": [], "correct": []}
    for row in rows:
        truth, source, conflict = settled[row["key"]]
        out["truth"].append(truth)
        out["truth_source"].append(source)
        out["conflict"].append(conflict)
        out["correct"].append(_correct(row, truth, source, task))
    types = {"truth": pl.String, "truth_source": pl.String, "conflict": pl.String}
    return frame.with_columns(pl.DataFrame(out, schema={**types, "correct": pl.Boolean}))


def _settle_input(
    rows: list[dict[str, Any]], task: Task
) -> tuple[str | None, str | None, str | None]:
    """Truth, source and conflict of one input from all its traces."""
    said = [found for row in rows if (found := _says(row)) is not None]
    # An outcome is never overruled by agreement: a trace whose answer is known to be wrong must
    # not lend that answer to the traces beside it.
    if not said and all(row["correct"] is None for row in rows):
        said = [
            ("teacher_agreement", row["answer"])
            for row in rows
            if row["votes"] and row["answer"] is not None and row["outcome_source"] is None
        ]
    if not said:
        return None, None, None
    source = max((source for source, _ in said), key=lambda name: TRUST[name])
    values = list(dict.fromkeys(value for origin, value in said if origin == source))
    choices = tuple(rows[0]["choices"])
    others = [v for v in values[1:] if judge(task, v, values[0], choices).score < 0.5]
    if others:
        listed = ", ".join(repr(value) for value in sorted({values[0], *others})[:4])
        return None, source, f"{source} gives one input different answers: {listed}"
    return min(values), source, None


def _says(row: dict[str, Any]) -> tuple[str, str] | None:
    """The answer that the outcome of one trace calls true, if it names or confirms one."""
    if row["outcome_source"] is None:
        return None
    if row["outcome"] is not None:
        return row["outcome_source"], row["outcome"]
    if row["correct"] and row["answer"] is not None:
        return row["outcome_source"], row["answer"]
    return None


def _correct(row: dict[str, Any], truth: str | None, source: str | None, task: Task) -> bool | None:
    if truth is None or source == "teacher_agreement":
        known: bool | None = row["correct"]
        return known
    if row["answer"] is None:
        return False
    return judge(task, row["answer"], truth, tuple(row["choices"])).score >= 0.5

"""The answer is not in the task's form, or hedges between several.

Catches "Answer: probably fine" for a task with the choices `yes` and `no`, "either a or e",
"deny / exchange", "7 or 8", and JSON that is not of the task's schema, with the place of the fault.
Lets pass what normalization repairs without guessing ("(b)", "$4.00", "Full Refund.", a code fence).
"""

from __future__ import annotations

import re

import polars as pl

from limbeck.curate.chain import excerpt
from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.types import Task
from limbeck.verify.json_value import fault
from limbeck.verify.table import normalize

_BETWEEN = re.compile(
    r"\s*(?:,|;|/|\||\bor\b|\band\b|\beither\b|\bboth\b|\bmaybe\b)\s*", re.IGNORECASE
)


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces with an answer that does not normalize; a missing answer passes."""

    def find(answer: str | None, raw: str | None, choices: list[str]) -> str | None:
        if answer is not None or raw is None or not raw.strip():
            return None
        if task.answer.kind == "json":
            return f"the answer {excerpt(raw)!r} {fault(task.answer, raw)}"
        hedged = _named(task, raw, tuple(choices))
        if len(hedged) > 1:
            return f"the answer hedges between {' and '.join(hedged)}: {excerpt(raw)!r}"
        return f"the answer {excerpt(raw)!r} is not {_wanted(task, choices)}"

    odd = pl.col("answer").is_null() & pl.col("answer_raw").is_not_null()
    return by_row(frame, ["answer", "answer_raw", "choices"], find, odd)


def _named(task: Task, text: str, choices: tuple[str, ...]) -> list[str]:
    """The different answers that `text` puts side by side."""
    parts = [normalize(task, part, choices) for part in _BETWEEN.split(text) if part.strip()]
    return list(dict.fromkeys(part for part in parts if part is not None))


def _wanted(task: Task, choices: list[str]) -> str:
    if task.answer.kind == "choice":
        listed = ", ".join(choices[:8]) + (", …" if len(choices) > 8 else "")
        return f"one of the choices ({listed})"
    return "a number" if task.answer.kind == "number" else "an answer"

"""The reply has no answer at all.

Catches "3 + 4 = 7, so there are seven of them" where the task's marker never comes. Lets pass any
answer, however odd: whether it is in form is `malformed_answer`'s question.
"""

from __future__ import annotations

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_expression
from limbeck.types import Task


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces without an answer, or with a blank one."""
    blank = pl.col("answer_raw").fill_null("").str.strip_chars() == ""
    wanted = " or ".join(repr(marker) for marker in task.reply.answer_markers)
    return by_expression(
        frame,
        pl.when(blank).then(pl.lit(f"the reply has no answer after {wanted or 'the chain'}")),
    )

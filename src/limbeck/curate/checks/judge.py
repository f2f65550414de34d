"""A teacher that was paid to read the chain says that it may not train.

Catches what a judge failed by its rubric, where `--judge` of `limbeck curate` has asked one. Lets
pass every chain that no judge was asked about, which is all of them by default.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_row, verdicts
from limbeck.curate.judge.asking import RUBRIC, Case, key_of
from limbeck.curate.judge.opinions import Opinion, read_opinions
from limbeck.types import Task
from limbeck.workspace import Workspace


class Settings(CheckSettings):
    opinions: str = ""
    """The file in which the opinions are kept, in the workspace's folder `.limbeck`; without one nobody
    was asked."""
    rubric: str = RUBRIC
    """By what the chains were judged; another rubric asks anew."""


def fit(sample: pl.DataFrame, task: Task, settings: Settings) -> dict[str, Opinion]:
    """The opinions by what they are of."""
    if not settings.opinions:
        return {}
    file = Path(settings.opinions)
    return read_opinions(file if file.is_absolute() else Workspace.find().home / file)


def check(
    frame: pl.DataFrame, task: Task, settings: Settings, opinions: dict[str, Opinion]
) -> pl.DataFrame:
    """Traces whose chain the judge has failed."""
    if not opinions:
        return verdicts([None] * frame.height)

    def find(asked: str, chain: str | None, answer: str | None) -> str | None:
        if not chain:
            return None
        said = opinions.get(key_of(Case(asked, chain, answer or ""), settings.rubric))
        if said is None or said.passes:
            return None
        return f"{said.model} failed it: {said.reason or 'no reason given'}"

    return by_row(frame, ["input", "rationale", "answer_raw"], find)

from __future__ import annotations

from pathlib import Path

import polars as pl

from limbeck.curate.privacy import find_private
from limbeck.types import RedactForm, Task


def split(folder: Path, *inputs: str) -> Path:
    file = folder / "train.parquet"
    text = {
        "input": list(inputs),
        "rationale": [None] * len(inputs),
        "answer": ["deny"] * len(inputs),
    }
    pl.DataFrame(text, schema_overrides={"rationale": pl.String}).write_parquet(file)
    return file


def test_what_is_left_is_counted_by_kind(choice_task: Task, tmp_path: Path) -> None:
    file = split(tmp_path, "write to jo@example.org or al@example.org", "nothing here", "order 12")
    found = find_private([file], choice_task)
    assert found.counts == {"email": 2}
    assert found.texts == 6


def test_the_tasks_own_patterns_are_looked_for_too(choice_task: Task, tmp_path: Path) -> None:
    task = choice_task.model_copy(update={"redact": RedactForm(patterns={"order": r"order \d+"})})
    assert find_private([split(tmp_path, "order 12")], task).counts == {"order": 1}

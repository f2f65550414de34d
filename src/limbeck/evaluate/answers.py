"""What a student said on a split, verified, and kept beside the student for the next question."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError, StudentError
from limbeck.evaluate.signals import SIGNALS, read_signals
from limbeck.models.local import Student, read_card
from limbeck.types import Example, StudentCard
from limbeck.verify.table import judge, normalize


@dataclass(frozen=True)
class Answers:
    """N verified replies of one student to one split, in the split's order."""

    folder: Path
    card: StudentCard
    examples: list[Example]
    said: list[str | None]
    """The answer in the task's form; None where there was none or it was not in form."""
    right: NDArray[np.bool_]  # (N,)
    signals: NDArray[np.float64]  # (N, len(SIGNALS))
    tokens: NDArray[np.int64]  # (N,) tokens written
    seconds: float
    """Time of the whole batch on this machine, divided by N nowhere."""


def answers_of(
    folder: Path,
    dataset: Dataset,
    split: str,
    *,
    threads: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Answers:
    """Asks the student, or reads what it said before: the files are named by content.

    Raises `DatasetError` for an empty split and `StudentError` for a student of another task or one
    that was trained on another dataset, whose training data may overlap this split.
    """
    card = read_card(folder)
    examples = dataset.split(split)
    if not examples:
        raise DatasetError(
            f"the dataset {dataset.path.name!r} has no {split} examples; curate with a larger share of "
            "[splits], or import rows with --split"
        )
    if card.dataset != dataset.hash:
        raise StudentError(
            f"the student {folder.name!r} was trained on the dataset {card.dataset[:15]}…, not on "
            f"{dataset.hash[:15]}…, so its training data may overlap the {split} split; distill on this dataset"
        )
    kept = folder / f"answers-{split}-{card.weights.removeprefix('sha256:')[:8]}.parquet"
    if kept.exists():
        frame = pl.read_parquet(kept)
        if progress is not None:
            progress(len(examples))
    else:
        frame = _asked(folder, examples, threads, progress)
        partial = kept.with_suffix(".partial")
        frame.write_parquet(partial)
        partial.replace(kept)
    task = dataset.task
    said = [
        None if text is None else normalize(task, text, example.choices)
        for text, example in zip(frame["answer"].to_list(), examples, strict=True)
    ]
    right = [
        one is not None and judge(task, one, example.truth, example.choices).score == 1.0
        for one, example in zip(said, examples, strict=True)
    ]
    return Answers(
        folder=folder,
        card=card,
        examples=examples,
        said=said,
        right=np.array(right, dtype=np.bool_),
        signals=np.array(frame["signals"].to_list(), dtype=np.float64).reshape(-1, len(SIGNALS)),
        tokens=frame["tokens"].to_numpy().astype(np.int64),
        seconds=float(frame["seconds"].sum()),
    )


def _asked(
    folder: Path,
    examples: list[Example],
    threads: int,
    progress: Callable[[int], None] | None,
) -> pl.DataFrame:
    student = Student.load(folder, threads=threads)
    began = time.perf_counter()
    replies = student.ask([example.input for example in examples], progress=progress)
    seconds = (time.perf_counter() - began) / len(examples)
    return pl.DataFrame(
        {
            "trace_id": [example.trace_id for example in examples],
            "answer": [reply.answer for reply in replies],
            "rationale": [reply.rationale for reply in replies],
            "signals": [list(read_signals(reply)) for reply in replies],
            "tokens": [reply.new_tokens for reply in replies],
            "seconds": [seconds] * len(examples),
        },
        schema_overrides={"answer": pl.String, "rationale": pl.String},
    )

"""What a student said on a split, verified, and kept beside the student for the next question."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError, StudentError
from limbeck.evaluate.signals.novelty import Novelty
from limbeck.evaluate.signals.reading import Reading
from limbeck.evaluate.signals.table import USUAL, read_signals
from limbeck.models.local import Said, Student, read_card
from limbeck.types import Example, StudentCard
from limbeck.verify.table import judge, normalize

REPLY: dict[str, pl.DataType | type[pl.DataType]] = {
    "answer": pl.String,
    "rationale": pl.String,
    "logprobs": pl.List(pl.Float64),
    "margin": pl.Float64,
    "rationale_logprob": pl.Float64,
    "new_tokens": pl.Int64,
    "stopped": pl.Boolean,
}
"""What is kept of a reply: all of it, so that a signal that is thought of later needs no new asking."""


@dataclass(frozen=True)
class Answers:
    """N verified replies of one student to one split, in the split's order."""

    folder: Path
    card: StudentCard
    examples: list[Example]
    said: list[str | None]
    """The answer in the task's form; None where there was none or it was not in form."""
    right: NDArray[np.bool_]  # (N,)
    signals: NDArray[np.float64]  # (N, K), in the order of `names`
    tokens: NDArray[np.int64]  # (N,) tokens written
    seconds: float
    """Time of the whole batch on this machine, divided by N nowhere."""
    names: tuple[str, ...] = USUAL
    """The signals that were read."""
    teacher_right: NDArray[np.bool_] | None = None
    """(N,) Whether the teacher was; true where only its own answer is known. None: nobody asked."""
    readings: tuple[Reading, ...] = ()
    """What the signals are read from; N of them, or none where nobody asked."""


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
    frame = pl.read_parquet(kept) if kept.exists() else None
    if frame is None or not set(REPLY) <= set(frame.columns):
        frame = _asked(folder, examples, threads, progress)
        partial = kept.with_suffix(".partial")
        frame.write_parquet(partial)
        partial.replace(kept)
    elif progress is not None:
        progress(len(examples))
    task = dataset.task
    replies = [Said(**{**row, "logprobs": tuple(row["logprobs"])}) for row in _rows(frame)]
    said = [
        None if one.answer is None else normalize(task, one.answer, example.choices)
        for one, example in zip(replies, examples, strict=True)
    ]
    right = [
        one is not None and judge(task, one, example.truth, example.choices).score == 1.0
        for one, example in zip(said, examples, strict=True)
    ]
    novelty = Novelty.fit([example.input for example in dataset.split("train")])
    readings = tuple(
        Reading(example.input, reply, task, answer, example.choices, novelty)
        for example, reply, answer in zip(examples, replies, said, strict=True)
    )
    rows = dataset.rows(split).select("trace_id", "teacher_correct").rows()
    teacher = {trace_id: correct is not False for trace_id, correct in rows}
    return Answers(
        folder=folder,
        card=card,
        examples=examples,
        said=said,
        right=np.array(right, dtype=np.bool_),
        signals=np.array([read_signals(one) for one in readings], dtype=np.float64),
        tokens=frame["new_tokens"].to_numpy().astype(np.int64),
        seconds=float(frame["seconds"].sum()),
        teacher_right=np.array([teacher[one.trace_id] for one in examples], dtype=np.bool_),
        readings=readings,
    )


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.select(*REPLY).to_dicts()


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
    kept = {name: [getattr(reply, name) for reply in replies] for name in REPLY}
    return pl.DataFrame(
        {
            "trace_id": [example.trace_id for example in examples],
            **kept,
            "seconds": [seconds] * len(examples),
        },
        schema_overrides=REPLY,
    )

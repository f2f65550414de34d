"""Inputs of `train` that mean the same in other words, where an embedder is installed.

Each input becomes a vector by a static model (model2vec) in a local folder, and two inputs whose
cosine is at least `meaning` mean the same. As with near-duplicates, only inputs with the same answer
stand for each other, and inputs that differ in a number do not. Going from the best input to the
worst, one is dropped where a kept one means the same. Every input is compared with all those kept of
its answer, so that the time grows with the square of their number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from limbeck.curate.contamination import Lookup
from limbeck.curate.duplicates import DuplicateSettings, in_preference
from limbeck.curate.frame import short_id
from limbeck.errors import ConfigError, MissingExtraError
from limbeck.types import Task

Vectors = npt.NDArray[np.float32]

Embedder = Callable[[list[str]], Vectors]
"""Texts to their vectors, (N, D), of any length."""

_AT_ONCE = 2_048
_ROUND = 4
"""Decimal places of a cosine that count: the last ones differ from processor to processor."""


def load_embedder(folder: str) -> Embedder:
    """The model in a local folder; nothing is fetched.

    Raises MissingExtraError without the extra `embed`, and ConfigError where the folder has no model.
    """
    try:
        from model2vec import StaticModel
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "model2vec", "embed") from None
    if not Path(folder).is_dir():
        raise ConfigError(
            f"duplicates.embedder is {folder!r}, which is no folder; "
            f"wanted a local folder with a model2vec model"
        )
    try:
        model = StaticModel.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"duplicates.embedder is {folder!r}, which holds no model2vec model ({error}); "
            f"wanted a folder that StaticModel.save_pretrained wrote"
        ) from None
    return lambda texts: np.asarray(
        model.encode(texts, max_length=None, use_multiprocessing=False), dtype=np.float32
    )


def semantic_repeats(
    frame: pl.DataFrame, task: Task, settings: DuplicateSettings, lookup: Lookup, embed: Embedder
) -> pl.Series:
    """The evidence for each training row whose input means the same as a better one's, or null.

    `frame` has the rows that nothing dropped, with `at`, where `lookup` finds their texts.
    """
    best = in_preference(frame, "at", "answer")
    texts = lookup(best["at"])["input"]
    vectors = _embedded(texts, embed)
    stand_in = np.full(best.height, -1, dtype=np.int64)
    cosine = np.zeros(best.height)
    for rows in _groups(best, texts, task, settings):
        if rows.size > 1:
            stand_in[rows], cosine[rows] = _thinned(vectors[rows], rows, settings.meaning)
    dropped = np.flatnonzero(stand_in >= 0)
    lost = pl.DataFrame(
        {
            "key": best["key"].gather(dropped),
            "kept": best["trace_id"].gather(stand_in[dropped]),
            "cosine": np.round(cosine[dropped], 2),
        }
    )
    said = pl.format(
        "its input means the same (cosine {}) as {}, which is kept", "cosine", short_id("kept")
    )
    found = frame.select("key", "split").join(lost, on="key", how="left", maintain_order="left")
    mine = pl.when(pl.col("split") == "train").then(said)
    return found.select(mine.alias("evidence")).get_column("evidence")


def _embedded(texts: pl.Series, embed: Embedder) -> Vectors:
    """Vectors of length 1, (N, D); a text without any known word has length 0 and is like none."""
    parts = [
        embed(texts[start : start + _AT_ONCE].to_list()) for start in range(0, len(texts), _AT_ONCE)
    ]
    vectors = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return found


def _groups(
    best: pl.DataFrame, texts: pl.Series, task: Task, settings: DuplicateSettings
) -> list[npt.NDArray[np.int64]]:
    """The rows that may stand for each other, each group in the order of preference."""
    numbers = texts.str.extract_all(r"\p{Nd}+").list.join(" ")
    by = pl.DataFrame(
        {
            "row": np.arange(best.height, dtype=np.int64),
            "answer": best["answer"] if task.answer.kind != "text" else [None] * best.height,
            "numbers": numbers if settings.numbers else [None] * best.height,
        },
        schema={"row": pl.Int64, "answer": pl.String, "numbers": pl.String},
    )
    grouped = by.group_by("answer", "numbers", maintain_order=True).agg("row")
    return [np.array(rows, dtype=np.int64) for rows in grouped["row"].to_list()]


def _thinned(
    vectors: Vectors, rows: npt.NDArray[np.int64], least: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which of `rows` stands for each of the `vectors` (N, D), -1 for itself, and their cosine."""
    stand_in = np.full(len(vectors), -1, dtype=np.int64)
    cosine = np.zeros(len(vectors))
    kept = np.zeros(0, dtype=np.int64)
    for start in range(0, len(vectors), _AT_ONCE):
        block = np.arange(start, min(start + _AT_ONCE, len(vectors)))
        if kept.size:
            alike = vectors[block] @ vectors[kept].T
            nearest = alike.argmax(axis=1)
            highest = np.round(alike[np.arange(block.size), nearest].astype(np.float64), _ROUND)
            gone = highest >= least
            stand_in[block[gone]] = rows[kept[nearest[gone]]]
            cosine[block[gone]] = highest[gone]
            block = block[~gone]
        own = np.round((vectors[block] @ vectors[block].T).astype(np.float64), _ROUND)
        for place in range(block.size):
            if stand_in[block[place]] >= 0:
                continue
            near = place + 1 + np.flatnonzero(own[place, place + 1 :] >= least)
            near = near[stand_in[block[near]] < 0]
            stand_in[block[near]] = rows[block[place]]
            cosine[block[near]] = own[place, near]
        kept = np.concatenate([kept, block[stand_in[block] < 0]])
    return stand_in, cosine

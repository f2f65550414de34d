"""Texts of an evaluation set must not be trained on, nor decide what is chosen or calibrated.

A trace is contaminated where its input is a text of the set, but for case and punctuation, or where
its input or its chain has a run of words in common with one: 13 words, as in Brown et al. 2020
(arXiv 2005.14165, appendix C), which also leave out the runs that more than ten texts share, because
they are the template and not the item. Several calls with one input are one text here. Every string
of a row of the set counts: keep its other columns out of the file where they are long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from limbeck.capture.files import open_rows
from limbeck.capture.jsonl import BadLineError
from limbeck.curate.chain import excerpt
from limbeck.curate.grams import Places, Words64, chunks, clean, hash_texts, phrases
from limbeck.errors import ImportFileError
from limbeck.types import Noun, content_hash

FITTED = ("train", "validation", "calibration")
"""The splits that something is fitted to. A test set may well be the evaluation set itself."""
_AT_ONCE = 200_000
"""Bytes of text that are looked through at once; more would leave the processor's cache."""


class ContaminationSettings(Noun):
    words: int = Field(13, ge=4, le=50)
    """Words in a row that a trace and an evaluation text must not have in common."""
    common: int = Field(10, ge=1)
    """A run of words that stands in more different inputs than this is taken for their template."""


class Source(Noun):
    """An evaluation set: the name of its file, its different texts, and a hash of them."""

    name: str
    texts: int
    hash: str


class Contamination(Noun):
    """What was looked for and found. `template` is how many shared runs of words were left out."""

    sources: tuple[Source, ...] = ()
    exact: int = 0
    phrases: int = 0
    template: int = 0


@dataclass(frozen=True)
class Evaluation:
    """The texts that must not be trained on, cleaned, for each source."""

    sources: tuple[Source, ...]
    texts: tuple[tuple[str, ...], ...]


def read_evaluation(paths: Sequence[Path]) -> Evaluation:
    """The texts of some files: JSON Lines, JSON, CSV or Parquet, told apart by content.

    Raises ImportFileError where a file cannot be read or has no text.
    """
    found = []
    for path in paths:
        raw: list[str] = []
        try:
            for row in open_rows(path):
                _strings(row.values, raw)
        except BadLineError as error:
            raise ImportFileError(path, f"{error}; nothing was curated", error.line) from None
        texts = sorted(set(_plain(pl.Series(raw, dtype=pl.String)).to_list()) - {""})
        if not texts:
            raise ImportFileError(path, "no row has a text; wanted those of an evaluation set")
        source = Source(name=path.name, texts=len(texts), hash=content_hash(texts))
        found.append((source, tuple(texts)))
    found.sort(key=lambda one: (one[0].name, one[0].hash))
    return Evaluation(tuple(one for one, _ in found), tuple(texts for _, texts in found))


def contaminated(
    frame: pl.DataFrame, evaluation: Evaluation, settings: ContaminationSettings
) -> tuple[pl.Series, Contamination]:
    """The evidence against each row of the splits FITTED that has an evaluation text, or null."""
    inputs = _plain(frame["input"])
    columns = {"input": inputs, "chain": _plain(frame["rationale"])}
    fitted = frame["split"].is_in(FITTED).to_numpy()
    exact = _exact(inputs, evaluation)
    hits = [_hits(texts, evaluation, settings.words) for texts in columns.values()]
    template = _template(frame["key"], hits, settings.common)
    found: list[str | None] = [None] * frame.height
    for (what, texts), (rows, nth, codes, sources) in zip(columns.items(), hits, strict=True):
        own = np.flatnonzero(~np.isin(codes, template) & fitted[rows])
        rows, first = np.unique(rows[own], return_index=True)
        for row, hit in zip(rows.tolist(), own[first].tolist(), strict=True):
            if found[row] is None:
                begin = int(nth[hit])
                said = excerpt(" ".join(texts[row].split(" ")[begin : begin + settings.words]))
                name = evaluation.sources[int(sources[hit])].name
                found[row] = f"{settings.words} words of its {what} stand in {name}: {said!r}"
    by_phrase = sum(evidence is not None for evidence in found)
    same = np.flatnonzero((exact >= 0) & fitted).tolist()
    by_phrase -= sum(found[row] is not None for row in same)
    for row in same:
        found[row] = f"its input is a text of {evaluation.sources[int(exact[row])].name}"
    counts = Contamination(
        sources=evaluation.sources, exact=len(same), phrases=by_phrase, template=template.size
    )
    return pl.Series("evidence", found, dtype=pl.String), counts


def _strings(value: Any, into: list[str]) -> None:
    """Every string in `value`, however deep."""
    if isinstance(value, str):
        into.append(value.encode("utf-8", "replace").decode("utf-8"))
    elif isinstance(value, dict):
        for one in value.values():
            _strings(one, into)
    elif isinstance(value, list | tuple):
        for one in value:
            _strings(one, into)


def _plain(texts: pl.Series) -> pl.Series:
    return clean(texts.str.normalize("NFKC").str.to_lowercase())


def _exact(texts: pl.Series, evaluation: Evaluation) -> Places:
    """Which source each text is of as a whole, (N,); -1 where it is of none."""
    known = {text: at for at, own in reversed(list(enumerate(evaluation.texts))) for text in own}
    table = pl.DataFrame(
        {"text": list(known), "source": list(known.values())},
        schema={"text": pl.String, "source": pl.Int64},
    )
    joined = (
        texts.alias("text").to_frame().join(table, on="text", how="left", maintain_order="left")
    )
    return joined["source"].fill_null(-1).to_numpy()


def _hits(
    texts: pl.Series, evaluation: Evaluation, words: int
) -> tuple[Places, Places, Words64, Places]:
    """Runs of words that an evaluation text has too: row, first word, hash and source."""
    wanted, source = _wanted(evaluation, words)
    sizes = texts.str.len_bytes().to_numpy().astype(np.int64) + 1
    found: list[tuple[Places, Places, Words64]] = []
    for begin, end in chunks(sizes, _AT_ONCE):
        rows, nth, codes = phrases(texts[begin:end].to_list(), words)
        hit = wanted[np.searchsorted(wanted, codes).clip(max=wanted.size - 1)] == codes
        found.append((rows[hit] + begin, nth[hit], codes[hit]))
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, nothing.astype(np.uint64), nothing
    rows, nth, codes = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows, nth, codes, source[np.searchsorted(wanted, codes)]


def _wanted(evaluation: Evaluation, words: int) -> tuple[Words64, Places]:
    """Every run of words of the evaluation texts, sorted, and the first source that has it."""
    codes, sources = [], []
    for at, texts in enumerate(evaluation.texts):
        _, _, own = phrases(texts, words)
        codes.append(np.unique(own))
        sources.append(np.full(codes[-1].size, at, dtype=np.int64))
    # One that nothing has, so that there is always something to compare with.
    codes.append(hash_texts(["\x1f"]))
    sources.append(np.zeros(1, dtype=np.int64))
    unique, first = np.unique(np.concatenate(codes), return_index=True)
    return unique, np.concatenate(sources)[first]


def _template(
    keys: pl.Series, hits: Sequence[tuple[Places, Places, Words64, Places]], most: int
) -> Words64:
    """The runs of words that stand in more than `most` different inputs, or their chains."""
    key = keys.rank("dense").to_numpy()
    table = pl.DataFrame(
        {
            "code": np.concatenate([codes for _, _, codes, _ in hits]),
            "key": np.concatenate([key[rows] for rows, _, _, _ in hits]),
        }
    )
    counted = table.unique().group_by("code").len().filter(pl.col("len") > most)
    return counted["code"].sort().to_numpy()

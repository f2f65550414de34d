"""Texts of an evaluation set must not be trained on, nor decide what is chosen or calibrated.

A trace is contaminated where its input is a text of the set, but for case and punctuation, or where
its input or its chain has a run of words in common with one: 13 words, as in Brown et al. 2020
(arXiv 2005.14165, appendix C), which also leave out the runs that more than ten texts share, because
they are the template and not the item. Several calls with one input are one text here. Every string
of a row of the set counts: keep its other columns out of the file where they are long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Wanted:
    """What is looked for: every run of words of the evaluation texts, sorted, with the first source
    that has it (W,), and each text as a whole with its source."""

    words: int
    codes: Words64
    sources: Places
    whole: pl.DataFrame


@dataclass(frozen=True)
class Hits:
    """What was found in some traces, by their place in the index.

    `exact` has `at` and `source`: the input is a text of that source. `runs` has `at`, `column`
    (`input` or `chain`), `nth`, `code` and `source`: the run of words that begins at the word `nth`.
    """

    exact: pl.DataFrame
    runs: pl.DataFrame


Lookup = Callable[[pl.Series], pl.DataFrame]
"""`input` and `rationale` of the traces at some places of the index, in that order."""


def wanted(evaluation: Evaluation, settings: ContaminationSettings) -> Wanted:
    """What is looked for, once for all batches."""
    codes, sources = [], []
    for at, texts in enumerate(evaluation.texts):
        _, _, own = phrases(texts, settings.words)
        codes.append(np.unique(own))
        sources.append(np.full(codes[-1].size, at, dtype=np.int64))
    # One that nothing has, so that there is always something to compare with.
    codes.append(hash_texts(["\x1f"]))
    sources.append(np.zeros(1, dtype=np.int64))
    unique, first = np.unique(np.concatenate(codes), return_index=True)
    known = {text: at for at, own in reversed(list(enumerate(evaluation.texts))) for text in own}
    whole = pl.DataFrame(
        {"text": list(known), "source": list(known.values())},
        schema={"text": pl.String, "source": pl.Int64},
    )
    return Wanted(settings.words, unique, np.concatenate(sources)[first], whole)


def find_hits(frame: pl.DataFrame, sought: Wanted, at: pl.Series) -> Hits:
    """What of it stands in a batch of traces, whose places in the index are `at`."""
    inputs = _plain(frame["input"])
    exact = pl.DataFrame({"at": at, "text": inputs}).join(sought.whole, on="text")
    runs = [
        _runs(texts, sought, at).with_columns(pl.lit(column).alias("column"))
        for column, texts in (("input", inputs), ("chain", _plain(frame["rationale"])))
    ]
    return Hits(exact.select("at", "source"), pl.concat(runs))


def joined(hits: Sequence[Hits]) -> Hits:
    """The hits of several batches, at least one."""
    return Hits(pl.concat([one.exact for one in hits]), pl.concat([one.runs for one in hits]))


def contaminated(
    rows: pl.DataFrame,
    hits: Hits,
    evaluation: Evaluation,
    settings: ContaminationSettings,
    lookup: Lookup,
) -> tuple[pl.Series, Contamination]:
    """The evidence against each trace of an index that is in one of the splits FITTED and has an
    evaluation text, or null."""
    fitted = rows.select(pl.col("split").is_in(FITTED)).to_series()
    template = _template(rows["key"], hits.runs, settings.common)
    runs = hits.runs.filter(
        ~pl.col("code").is_in(template.implode()) & fitted.gather(hits.runs["at"])
    )
    # Its input before its chain, and the first run in each.
    first = runs.sort("at", pl.col("column") == "chain", "nth").unique("at", keep="first")
    exact = hits.exact.filter(fitted.gather(hits.exact["at"]))
    first = first.join(exact, on="at", how="anti").sort("at")
    texts = lookup(first["at"])
    found: list[str | None] = [None] * rows.height
    for (at, column, nth, source), (asked, chain) in zip(
        first.select("at", "column", "nth", "source").iter_rows(),
        texts.select("input", "rationale").iter_rows(),
        strict=True,
    ):
        [plain] = _plain(pl.Series([asked if column == "input" else chain], dtype=pl.String))
        said = excerpt(" ".join(plain.split(" ")[nth : nth + settings.words]))
        name = evaluation.sources[source].name
        found[at] = f"{settings.words} words of its {column} stand in {name}: {said!r}"
    for at, source in exact.select("at", "source").iter_rows():
        found[at] = f"its input is a text of {evaluation.sources[source].name}"
    counts = Contamination(
        sources=evaluation.sources,
        exact=exact.height,
        phrases=first.height,
        template=template.len(),
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


def _runs(texts: pl.Series, sought: Wanted, at: pl.Series) -> pl.DataFrame:
    """The runs of words that an evaluation text has too."""
    sizes = texts.str.len_bytes().to_numpy().astype(np.int64) + 1
    none = np.zeros(0, dtype=np.int64)
    found = [(none, none, none.astype(np.uint64))]
    for begin, end in chunks(sizes, _AT_ONCE):
        rows, nth, codes = phrases(texts[begin:end].to_list(), sought.words)
        near = np.searchsorted(sought.codes, codes).clip(max=sought.codes.size - 1)
        hit = sought.codes[near] == codes
        found.append((rows[hit] + begin, nth[hit], codes[hit]))
    rows, nth, codes = (np.concatenate(part) for part in zip(*found, strict=True))
    return pl.DataFrame(
        {
            "at": at.gather(rows),
            "nth": nth,
            "code": codes,
            "source": sought.sources[np.searchsorted(sought.codes, codes)],
        }
    )


def _template(keys: pl.Series, runs: pl.DataFrame, most: int) -> pl.Series:
    """The runs of words that stand in more than `most` different inputs, or their chains."""
    table = runs.select("code", keys.gather(runs["at"]).alias("key")).unique()
    counted = table.group_by("code").len().filter(pl.col("len") > most)
    return counted["code"].sort()

"""One input, one example: which of the traces that ask the same is kept.

In `train` the best is kept: among those that passed every check, one whose answer is verified comes
first, then the shortest chain (one word a step fewer is one thing less to learn), then the one that
stands first. In the other splits the first is kept, whatever the answer: to choose the better reply
there would flatter the teacher. Rows stand in the order of a hash of what was asked and said.

Inputs that are almost the same are near-duplicates. The similarity of two is the share of their
pieces (runs of `shingle` bytes, of letters and digits in lower case) that both have. A near-duplicate
of an input in a more trusted split is always dropped as leakage. Within `train` near-duplicates are
counted, and kept unless `near` is set: a task whose inputs fill a template is full of them, and two
that differ in one word may well have different answers. With `near`, those with the same answer are
one example, chosen as above. Inputs that differ in a number are no near-duplicates: change the number
in a sum, a price or a date, and it is another question. Switch `numbers` off where numbers are noise,
such as the ids of tickets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from limbeck.curate.frame import short_id
from limbeck.curate.grams import WIDEST, Places
from limbeck.curate.near import Pairs, Sketches, pairs_among
from limbeck.types import Noun, Task


class DuplicateSettings(Noun):
    per_input: int = Field(1, ge=1)
    """How many traces of one input may train; more than one is for recipes that sample chains."""
    sampler: Literal[
        "best", "random", "diverse", "likeliest", "shortest_correct", "mixed_levels"
    ] = "best"
    """Which of its different chains those are: `best` is verified first, then short; the others are the
    down-samplers."""
    near: bool = False
    """Whether near-duplicates within `train` that have the same answer are dropped too."""
    similarity: float = Field(0.85, ge=0.5, le=1)
    """Share of their pieces that two texts must have in common to be near-duplicates."""
    shingle: int = Field(8, ge=3, le=WIDEST)
    """Bytes of a piece; a word of English has about six."""
    numbers: bool = True
    """Whether texts that differ in a number are different, however alike they are."""
    embedder: str | None = None
    """Local folder of a model2vec model: inputs of `train` that mean the same in other words and have the
    same answer are then dropped, but for one. Needs the extra `embed`."""
    meaning: float = Field(0.95, ge=0.5, le=1)
    """Cosine of the vectors of two inputs from which on they mean the same."""


class Clusters(Noun):
    """Inputs of `train` that are near each other and have the same answer."""

    clusters: int = 0
    inputs: int = 0
    largest: int = 0


@dataclass(frozen=True)
class Thinned:
    """What is left of texts of which the near ones stand for each other.

    `stand_in` is the row that was kept instead of each (N,), -1 where the row itself is kept;
    `similarity` is how near the two are. `clusters` is how many there were before.
    """

    stand_in: Places
    similarity: npt.NDArray[np.float64]
    clusters: Clusters


def repeats(
    frame: pl.DataFrame, settings: DuplicateSettings, chains: Sketches | None = None
) -> pl.Series:
    """The evidence for each row of an index that repeats the input of a better one, or null.

    `frame` has only rows that no check dropped, and `looked`: which of the `chains` is whose.
    """
    train = pl.col("split") == "train"
    wanted = ("chain",) if chains is None else ("chain", "looked")
    # An input that was asked once repeats none.
    ranked = _ranked(_numbered(frame, *wanted).filter(pl.col("key").is_duplicated()))
    # A chain that is there already teaches nothing new, even where several chains are wanted.
    copy = pl.struct(pl.col("chain").fill_null(0), "key").is_first_distinct()
    ranked = ranked.with_columns(
        copy.alias("new"), pl.col("trace_id").first().over("key").alias("kept")
    )
    unlimited = settings.sampler != "best"
    if (settings.per_input > 1 or unlimited) and chains is not None:
        ranked = ranked.with_columns(new=pl.col("new") & ~_near_copies(ranked, chains))
    ranked = ranked.with_columns(
        (pl.col("new").cast(pl.Int32).cum_sum().over("key") - 1).alias("chains"),
        pl.int_range(pl.len()).over("key").alias("place"),
    )
    allowed = pl.when(train).then(settings.per_input).otherwise(1)
    # Another sampler than the best chooses afterwards, among chains that are all different.
    many = (pl.col("chains") >= allowed) & ~(train & pl.lit(unlimited))
    repeated = (pl.col("place") > 0) & (~pl.col("new") | many)
    said = pl.format("the same input is kept as {}", short_id("kept"))
    return _evidence(frame.height, ranked.filter(repeated).select("stood", said.alias("said")))


def near_repeats(
    frame: pl.DataFrame, task: Task, settings: DuplicateSettings, sketches: Sketches, rows: Places
) -> tuple[pl.Series, Clusters]:
    """The evidence for each training row whose input is nearly that of a better one, or null.

    `rows` says which of the `sketches` is that of each row's input. Without `settings.near` nothing
    is dropped, and the clusters are counted all the same.
    """
    best = in_preference(frame.with_columns(text=pl.Series(rows)), "text", "answer")
    texts = sketches.pick(best["text"].to_numpy())
    if task.answer.kind in ("choice", "number", "json"):
        texts = texts.apart(best["answer"])
    thinned = thin(texts, once=not settings.near)
    if not settings.near:
        return _evidence(frame.height), thinned.clusters
    dropped = np.flatnonzero(thinned.stand_in >= 0)
    kept = best["trace_id"].gather(thinned.stand_in[dropped])
    lost = pl.DataFrame(
        {
            "key": best["key"].gather(dropped),
            "kept": kept,
            "percent": np.floor(thinned.similarity[dropped] * 100).astype(np.int64),
        }
    )
    said = pl.format("its input is {} % that of {}, which is kept", "percent", short_id("kept"))
    train = _numbered(frame).filter(pl.col("split") == "train")
    found = train.join(lost, on="key").select("stood", said.alias("said"))
    return _evidence(frame.height, found), thinned.clusters


def in_preference(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The best training row of each input, the best input first, with `trace_id`, `key` and `columns`."""
    train = _numbered(frame, *columns).filter(pl.col("split") == "train")
    # Several chains of one input are one text, which its best trace stands for.
    best = _ranked(train).unique("key", keep="first", maintain_order=True)
    return best.sort(*_preference(), nulls_last=True)


def thin(sketches: Sketches, once: bool = False, *, measured: bool = True) -> Thinned:
    """Keep the best of the texts that are near each other; they stand in the order of preference.

    Of a chain of texts each near the next, only those near one that stays are dropped. A crowded
    bucket is not compared pair by pair, so what is left is compared anew until nothing more goes;
    only then may a text be a little further from the one that stands for it in the end than the
    wanted similarity. `once` stops after the first time; not `measured`, how near they are is not told.
    """
    stand_in = np.full(len(sketches), -1, dtype=np.int64)
    alive = np.arange(len(sketches), dtype=np.int64)
    clusters = None
    while True:
        pairs = pairs_among(sketches.pick(alive))
        clusters = clusters or _clusters(pairs, alive.size)
        for left, right in _drops(pairs, alive.size):
            stand_in[alive[right]] = alive[left]
        left_over = alive[stand_in[alive] < 0]
        if once or left_over.size == alive.size:
            break
        alive = left_over
    dropped = np.flatnonzero(stand_in >= 0)
    while (further := stand_in[stand_in[dropped]] >= 0).any():
        moved = dropped[further]
        stand_in[moved] = stand_in[stand_in[moved]]
    similarity = np.zeros(len(sketches))
    if measured:
        similarity[dropped] = sketches.jaccard(stand_in[dropped], dropped)
    return Thinned(stand_in, similarity, clusters)


def _drops(pairs: Pairs, count: int) -> Iterator[tuple[Places, Places]]:
    """Round by round the texts that stay, and those that go for them.

    A text that no better one is near to stays; the ones near it go; then the same among the rest.
    """
    left, right = pairs.left, pairs.right
    while left.size:
        worse = np.zeros(count, dtype=bool)
        worse[right] = True
        going = ~worse[left]
        gone, first = np.unique(right[going], return_index=True)
        yield left[going][first], gone
        dropped = np.zeros(count, dtype=bool)
        dropped[gone] = True
        rest = ~(dropped[left] | dropped[right])
        left, right = left[rest], right[rest]


def _clusters(pairs: Pairs, count: int) -> Clusters:
    """How many groups the texts form in which each is near another."""
    ones = np.ones(pairs.left.size, dtype=np.int8)
    graph = coo_array((ones, (pairs.left, pairs.right)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels)
    sizes = sizes[sizes > 1]
    return Clusters(clusters=sizes.size, inputs=int(sizes.sum()), largest=int(sizes.max(initial=0)))


def _near_copies(ranked: pl.DataFrame, chains: Sketches) -> pl.Series:
    """Which rows have nearly the chain of a better row of the same input."""
    own = chains.pick(ranked["looked"].to_numpy().astype(np.int64))
    copies = thin(own.apart(ranked["key"]), measured=False).stand_in >= 0
    return pl.Series(copies) & ranked["characters"].is_not_null()


def _numbered(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """What is needed to choose the best rows, `columns`, and `stood`, where each row stands."""
    wanted = ("trace_id", "key", "split", "correct", "characters", *columns)
    return frame.select(wanted).with_row_index("stood")


def _ranked(rows: pl.DataFrame) -> pl.DataFrame:
    """Numbered `rows` by input, the best of each first."""
    return rows.sort(pl.col("key"), *_preference(), nulls_last=True)


def _evidence(count: int, found: pl.DataFrame | None = None) -> pl.Series:
    """Null for each of `count` rows, but what is `said` of the one that `stood` there."""
    evidence = pl.Series("evidence", [None], dtype=pl.String).new_from_index(0, count)
    return evidence if found is None else evidence.scatter(found["stood"], found["said"])


def _preference() -> tuple[pl.Expr, ...]:
    """What is sorted by: the better row first; outside `train` only the place counts."""
    train = pl.col("split") == "train"
    return (
        pl.when(train).then(~pl.col("correct").fill_null(False)),
        pl.when(train).then(pl.col("characters").is_null()),
        pl.when(train).then(pl.col("characters")),
        pl.col("stood"),
    )

"""What changed over time: the inputs by week, and the skeleton.

A week is compared with all weeks since the last change. Where it differs, it begins a new stretch; only
what was asked since then is what a student will be asked.
"""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from limbeck.curate.assess.baseline import count_words
from limbeck.curate.assess.chance import chance_index, stability_index
from limbeck.curate.assess.findings import Stability, Version, Week
from limbeck.curate.assess.intake import Intake
from limbeck.curate.assess.settings import AssessSettings
from limbeck.curate.assess.volume import week_of

TOPICS = 12
DIMENSIONS = 32
TENTHS = 10
SHOWN = 8
RECENT_SHARE = 0.1
"""The skeleton of most of the last tenth of the calls is the current one."""
SCATTERED_SHARE = 0.2
"""More skeletons than this share of the calls are one prompt with something varying in it."""

Counts = NDArray[np.int64]


def find_stability(read: Intake, column: str, settings: AssessSettings) -> Stability:
    """The weeks, the skeletons, and how many labelled inputs are still of today's kind."""
    weeks = _weeks(read, settings)
    changed = max((week.start for week in weeks if week.drifted), default=None)
    versions, current, distinct = _versions(read)
    scattered = distinct > 10 and distinct > SCATTERED_SHARE * read.calls.height
    usable = read.calls
    if changed is not None:
        usable = usable.filter(pl.col("at") >= changed)
    if current is not None and not scattered:
        usable = usable.filter(pl.col("skeleton") == current)
    return Stability(
        weeks=tuple(weeks),
        changed=changed,
        skeletons=distinct,
        versions=versions,
        current=None if current is None else read.skeletons[current],
        scattered=scattered,
        usable=usable.filter(pl.col(column).is_not_null())["key"].n_unique(),
    )


def _weeks(read: Intake, settings: AssessSettings) -> list[Week]:
    timed = read.calls.filter(pl.col("at").is_not_null())
    if timed.is_empty():
        return []
    last = timed["at"].max()
    assert isinstance(last, datetime)
    cells = timed.select(
        "key",
        week_of(pl.col("at"), last).alias("back"),
        pl.Series("tenth", _tenths(timed["length"].to_numpy())),
    ).join(topics(read.texts, settings.seed), on="key", how="left")
    by_week = {
        int(back): (_counts(part, "tenth", TENTHS), _counts(part, "topic", TOPICS))
        for (back,), part in cells.partition_by("back", as_dict=True).items()
        if isinstance(back, int)
    }
    found: list[Week] = []
    before: tuple[Counts, Counts] | None = None
    waiting: tuple[Counts, Counts] | None = None
    for back in sorted(by_week, reverse=True):
        now = _sum(waiting, by_week[back])
        if min(now[0].sum(), now[1].sum() or now[0].sum()) < settings.min_week:
            waiting = now
            continue
        waiting = None
        start = last - timedelta(days=7 * (back + 1))
        if before is not None:
            found.append(_compare(start, before, now, settings))
        before = now if before is None or found[-1].drifted else _sum(before, now)
    return found


def _compare(
    start: datetime,
    before: tuple[Counts, Counts],
    now: tuple[Counts, Counts],
    settings: AssessSettings,
) -> Week:
    values = [stability_index(old, new) for old, new in zip(before, now, strict=True)]
    chance = [
        chance_index(int(old.sum()), int(new.sum()), int(((old + new) > 0).sum()))
        for old, new in zip(before, now, strict=True)
    ]
    drifted = any(
        value > max(settings.drift_psi, by_chance)
        for value, by_chance in zip(values, chance, strict=True)
    )
    return Week(
        start=start,
        calls=int(now[0].sum()),
        length=values[0],
        length_chance=min(chance[0], 99.0),
        topics=values[1],
        topics_chance=min(chance[1], 99.0),
        drifted=drifted,
    )


def _sum(one: tuple[Counts, Counts] | None, other: tuple[Counts, Counts]) -> tuple[Counts, Counts]:
    return other if one is None else (one[0] + other[0], one[1] + other[1])


def _tenths(lengths: NDArray[np.int32]) -> NDArray[np.int64]:
    """The tenth of all lengths that each one lies in."""
    bounds = np.unique(np.quantile(lengths, np.arange(1, TENTHS) / TENTHS))
    return np.searchsorted(bounds, lengths, side="right").astype(np.int64)


def _counts(part: pl.DataFrame, column: str, cells: int) -> Counts:
    return np.bincount(part[column].drop_nulls().to_numpy(), minlength=cells).astype(np.int64)


def topics(texts: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`key` and `topic` of the sampled inputs: clusters of their TF-IDF vectors (LSA, k-means)."""
    empty = pl.DataFrame(schema={"key": pl.UInt64, "topic": pl.Int64})
    words = count_words(texts["input"].to_list()) if texts.height >= 5 * TOPICS else None
    if words is None or min(words.shape) <= TOPICS:
        return empty
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(words)
    rank = min(DIMENSIONS, min(words.shape) - 1)
    dense = TruncatedSVD(rank, random_state=seed, n_iter=3).fit_transform(weighed)
    with warnings.catch_warnings():
        # Fewer distinct texts than topics only leave some topics empty.
        warnings.simplefilter("ignore")
        cluster = KMeans(TOPICS, n_init=2, random_state=seed).fit_predict(dense)
    return texts.select("key", pl.Series("topic", cluster.astype(np.int64)))


def _versions(read: Intake) -> tuple[tuple[Version, ...], int | None, int]:
    """The most used skeletons, the place of the current one, and how many there are."""
    known = [place for place, name in enumerate(read.skeletons) if name is not None]
    calls = read.calls.filter(pl.col("skeleton").is_in(known)).sort(
        "at", nulls_last=False, maintain_order=True
    )
    if calls.is_empty():
        return (), None, 0
    recent = calls.tail(max(1, round(calls.height * RECENT_SHARE)))["skeleton"]
    current = recent.value_counts(sort=True)["skeleton"][0]
    used = (
        calls.group_by("skeleton")
        .agg(
            pl.len().alias("calls"),
            pl.col("at").min().alias("first"),
            pl.col("at").max().alias("last"),
        )
        .sort(["calls", "skeleton"], descending=[True, False])
    )
    versions = tuple(
        Version(skeleton=str(read.skeletons[place]), calls=n, first=first, last=last)
        for place, n, first, last in used.head(SHOWN).rows()
    )
    return versions, int(current), used.height

"""Which of the different chains of an input train, where there are more than the budget allows.

`duplicates.per_input` is the budget and `duplicates.sampler` who chooses; see `limbeck.curate.samplers`.
Few providers say how likely a chain was, so that the likeliest are those of a model of pairs of words
that is fitted on the task's own chains.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import polars as pl

from limbeck.curate.chain import words
from limbeck.curate.contamination import Lookup
from limbeck.curate.samplers import Candidate, sample

LIKELIEST = "likeliest"
"""The sampler that asks how likely a chain is."""
FITTED = 5_000
"""Chains that the model of pairs is fitted on."""
_AT_ONCE = 20_000
"""Chains whose texts are in memory at once."""
_START = "\x00"
_MIX = 0.9
"""Weight of the pair over the single word."""


def over_budget(frame: pl.DataFrame, budget: int, sampler: str, lookup: Lookup) -> pl.Series:
    """The evidence for each training row whose chain the sampler did not choose, or null.

    `frame` has the rows that nothing dropped, with `at`, where `lookup` finds their texts.
    """
    train = frame.with_row_index("stood").filter(
        (pl.col("split") == "train") & pl.col("characters").is_not_null()
    )
    crowded = train.filter(pl.len().over("key") > budget).sort("key", "stood")
    likely = None
    if sampler == LIKELIEST and crowded.height:
        likely = Pairs(lookup(train["at"].head(FITTED))["rationale"])
    lost: list[int] = []
    for some in _batches(crowded):
        chains = lookup(some["at"])["rationale"]
        places: dict[str, list[int]] = {}
        for place, key in enumerate(some["key"]):
            places.setdefault(key, []).append(place)
        for own in places.values():
            right = [some["correct"][place] for place in own]
            kept = set(choose(sampler, [chains[place] for place in own], right, budget, likely))
            lost += [some["stood"][place] for nth, place in enumerate(own) if nth not in kept]
    said = f"{sampler} chose {budget} other chains of its input"
    evidence = pl.Series("evidence", [None], dtype=pl.String).new_from_index(0, frame.height)
    return evidence.scatter(lost, [said] * len(lost))


def choose(
    sampler: str,
    chains: Sequence[str],
    correct: Sequence[bool | None],
    budget: int,
    likely: Pairs | None,
    seed: int = 0,
) -> list[int]:
    """The places of the chains of one input that `sampler` keeps; `likely` is for LIKELIEST."""
    candidates = [
        Candidate(text=text, correct=right, log_likelihood=likely.mean(text) if likely else None)
        for text, right in zip(chains, correct, strict=True)
    ]
    return sample(sampler, candidates, budget, seed)


class Pairs:
    """How likely a chain is by the pairs of its words, learned of some chains."""

    def __init__(self, chains: Iterable[str]) -> None:
        self._single: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        for chain in chains:
            said = [_START, *words(chain)]
            self._single.update(said)
            self._pairs.update(pairwise(said))
        self._all = self._single.total() + len(self._single) + 1

    def mean(self, chain: str) -> float:
        """The mean log-likelihood of a word of `chain` (nats); 0.0 where it has none."""
        said = [_START, *words(chain)]
        found = [self._of(before, word) for before, word in pairwise(said)]
        return math.fsum(found) / len(found) if found else 0.0

    def _of(self, before: str, word: str) -> float:
        alone = (self._single[word] + 1) / self._all
        given = self._single[before]
        pair = self._pairs[before, word] / given if given else 0.0
        return math.log(_MIX * pair + (1 - _MIX) * alone)


def _batches(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """`rows`, which stand by `key`, in pieces that end where a key ends."""
    start, keys = 0, rows["key"]
    while start < rows.height:
        end = min(start + _AT_ONCE, rows.height)
        while end < rows.height and keys[end] == keys[end - 1]:
            end += 1
        yield rows[start:end]
        start = end

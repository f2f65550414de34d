"""Which texts are nearly the same: MinHash over shingles finds pairs, and each pair is compared.

Source: Broder, "On the resemblance and containment of documents" (1997).
"""

from __future__ import annotations

import difflib
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from limbeck.capture.discover.tokens import tokenize

NEAR = 0.7
"""Two prompts are near where so large a share of their three-token shingles is common."""
ALIKE = 0.85
"""Or where so large a share of their tokens stands in the same order, as in short prompts with a
name in them."""
CANDIDATE = 0.4
"""Pairs with a smaller share of common shingles are not looked at."""
SHINGLE = 3
BANDS, ROWS = 32, 2
_PRIME = (1 << 31) - 1
_MOST_IN_BUCKET = 60
_COMPARED_TOKENS = 2000


class Prompt:
    """A masked text, with what it is compared by."""

    def __init__(self, text: str) -> None:
        self.tokens = [token.strip().lower() for token in tokenize(text)][:_COMPARED_TOKENS]

    @cached_property
    def shingles(self) -> frozenset[int]:
        size = min(SHINGLE, max(1, len(self.tokens)))
        runs = zip(*(self.tokens[at:] for at in range(size)), strict=False)
        return frozenset(zlib.crc32("\0".join(run).encode("utf-8", "replace")) for run in runs)

    @cached_property
    def bag(self) -> tuple[str, ...]:
        return tuple(sorted(self.tokens))


def resemblance(one: Prompt, two: Prompt) -> float:
    """The share of shingles that both have (Jaccard), from 0 to 1."""
    union = len(one.shingles | two.shingles)
    return len(one.shingles & two.shingles) / union if union else 1.0


def same_order(one: Prompt, two: Prompt) -> float:
    """The share of tokens that both have in one order, from 0 to 1."""
    return difflib.SequenceMatcher(None, one.tokens, two.tokens, autojunk=False).ratio()


def close_pairs(prompts: Sequence[Prompt]) -> Iterator[tuple[int, int, float]]:
    """Pairs of indexes that may be near, with their resemblance, each pair once.

    In a bucket of many, each is compared with the first ones only: they are as good as any.
    """
    seen: set[tuple[int, int]] = set()
    for bucket in _buckets(prompts):
        first = bucket[:_MOST_IN_BUCKET]
        pairs = [
            *combinations(first, 2),
            *((first[0], other) for other in bucket[_MOST_IN_BUCKET:]),
        ]
        for pair in pairs:
            if pair in seen:
                continue
            seen.add(pair)
            found = resemblance(prompts[pair[0]], prompts[pair[1]])
            if found >= CANDIDATE:
                yield (*pair, found)


def _buckets(prompts: Sequence[Prompt]) -> Iterator[list[int]]:
    rng = np.random.default_rng(0)
    factors = rng.integers(1, _PRIME, size=(BANDS * ROWS, 1), dtype=np.int64)
    offsets = rng.integers(0, _PRIME, size=(BANDS * ROWS, 1), dtype=np.int64)
    buckets: defaultdict[tuple[int, Any], list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        hashes = np.fromiter(prompt.shingles, dtype=np.int64) % _PRIME
        if not len(hashes):
            continue
        least = ((factors * hashes + offsets) % _PRIME).min(axis=1)
        for band in range(BANDS):
            buckets[band, least[band * ROWS : (band + 1) * ROWS].tobytes()].append(index)
    return (bucket for bucket in buckets.values() if len(bucket) > 1)

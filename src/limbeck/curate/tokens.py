"""Texts as arrays of token codes: what the checks that count words look at.

Letters in a row are a token, digits in a row are one that is the same for all numbers, and every other
mark is a token of its own. All of it is arithmetic on whole arrays, with no step in Python for one text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from limbeck.curate.grams import WIDEST, Places, Words64, mix

_SPACE, _LETTER, _DIGIT, _MARK = range(4)
NUMBER = np.uint64(0)
"""The code of every number; no other token has it."""
_LONGEST = 40_000
"""Bytes of a text that are looked at; more of it tells nothing new."""


def _classes() -> npt.NDArray[np.uint8]:
    """What each byte is. Those of letters beyond ASCII count as letters; so does the `_` of a label."""
    classes = np.full(256, _SPACE, dtype=np.uint8)
    classes[33:127] = _MARK
    classes[ord("0") : ord("9") + 1] = _DIGIT
    for first, last in (("a", "z"), ("A", "Z"), ("_", "_")):
        classes[ord(first) : ord(last) + 1] = _LETTER
    classes[128:] = _LETTER
    return classes


_CLASSES = _classes()
_MASKS = np.array([(1 << (8 * width)) - 1 for width in range(WIDEST + 1)], dtype=np.uint64)


@dataclass(frozen=True)
class Tokens:
    """The tokens of N texts, one after the other.

    `codes` (T,) has equal values for equal tokens, whatever their case; `starts` (N,) is where each
    text begins among them, and `counts` (N,) how many it has.
    """

    codes: Words64
    starts: Places
    counts: Places

    @cached_property
    def owners(self) -> Places:
        """Which text each token belongs to, (T,)."""
        return np.repeat(np.arange(self.counts.size), self.counts)

    @cached_property
    def places(self) -> Places:
        """Which token of its text each is, from 0, (T,)."""
        return np.arange(self.codes.size) - np.repeat(self.starts, self.counts)

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sum of `values` (T,) over the tokens of each text, (N,)."""
        return np.bincount(self.owners, values, self.counts.size).astype(np.float64)


def tokens(texts: pl.Series) -> Tokens:
    """The tokens of `texts`; a null has none."""
    data, starts, lengths = _bytes(texts)
    classes = _CLASSES[data]
    fresh = np.not_equal(classes[1:], classes[:-1])
    fresh |= classes[1:] == _MARK
    said = classes != _SPACE
    begins = said.copy()
    begins[1:] &= fresh
    edges = np.flatnonzero(begins)
    # A gap stands after every text, so that every token ends before another byte.
    sizes = np.flatnonzero(fresh & said[:-1]) + 1 - edges
    windows = _windows(data)
    codes = mix(windows[edges] & _MASKS[np.minimum(sizes, WIDEST)])
    long = np.flatnonzero(sizes > WIDEST)
    # Long words differ at their ends; the length tells most of the others apart.
    ends = windows[edges[long] + sizes[long] - WIDEST]
    codes[long] ^= mix(ends ^ sizes[long].astype(np.uint64))
    codes[codes == NUMBER] = 1
    codes[classes[edges] == _DIGIT] = NUMBER
    first = np.searchsorted(edges, starts)
    last = np.searchsorted(edges, starts + lengths)
    return Tokens(codes, first.astype(np.int64), (last - first).astype(np.int64))


def text_codes(texts: pl.Series) -> Words64:
    """A code of each text as a whole, which depends on every byte that is looked at, (N,)."""
    data, starts, lengths = _bytes(texts)
    if not starts.size:
        return np.zeros(0, dtype=np.uint64)
    counts = lengths // WIDEST + 1
    begin = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum())) - np.repeat(begin, counts)
    lanes = _windows(data)[np.repeat(starts, counts) + nth * WIDEST]
    codes: Words64 = mix(np.add.reduceat(mix(lanes ^ mix(nth.astype(np.uint64))), begin))
    return codes


def word_codes(words: list[str]) -> Words64:
    """The code of each of `words`, which must be single tokens, (N,)."""
    return tokens(pl.Series(words, dtype=pl.String)).codes


def _windows(data: npt.NDArray[np.uint8]) -> Words64:
    """The machine word that begins at every byte of `data`."""
    size = max(data.size - WIDEST + 1, 0)
    return np.ndarray(shape=(size,), dtype="<u8", buffer=data, strides=(1,))


def _bytes(texts: pl.Series) -> tuple[npt.NDArray[np.uint8], Places, Places]:
    """The texts in lower case in one array with a gap of zeros after each; where each begins, and its
    bytes."""
    gap = "\0" * WIDEST
    lowered = texts.fill_null("").str.to_lowercase()
    if (lowered.str.len_bytes() > _LONGEST).any():
        lowered = lowered.str.slice(0, _LONGEST)
    lengths = lowered.str.len_bytes().to_numpy().astype(np.int64)
    joined = gap.join(lowered.to_list()) + gap
    data = np.frombuffer(joined.encode("utf-8", "replace"), dtype=np.uint8)
    starts = np.cumsum(lengths + WIDEST) - (lengths + WIDEST)
    return data, starts, lengths

"""Texts as arrays of token codes: what the checks that count words look at.

Letters in a row are a token, digits in a row are one that is the same for all numbers, and every other
mark is a token of its own. All of it is arithmetic on whole arrays, with no step in Python for one text.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from limbeck.curate.grams import WIDEST, Places, Words64, mix, windows

_SPACE, _LETTER, _DIGIT, _MARK = range(4)
NUMBER = np.uint64(0)
"""The code of every number; no other token has it."""
_NEWLINE, _APOSTROPHE = ord("\n"), ord("'")
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
_INSIDE = np.array([kind in (_LETTER, _DIGIT) for kind in range(4)])
_MASKS = np.array([(1 << (8 * width)) - 1 for width in range(WIDEST + 1)], dtype=np.uint64)


@dataclass(frozen=True)
class Tokens:
    """The tokens of N texts, one after the other.

    `codes` (T,) has equal values for equal tokens, whatever their case, and `exact` (T,) tells numbers
    apart too; `lines` (L,) are the tokens before which a line ends. `starts` (N,) is where each text
    begins among them, and `counts` (N,) how many it has. `runs` (N,) is how many runs of letters and
    digits it has, and `words` (N,) the same with "don't" as one; neither is right beyond ASCII.
    """

    codes: Words64
    exact: Words64
    lines: Places
    starts: Places
    counts: Places
    runs: Places
    words: Places

    @cached_property
    def owners(self) -> Places:
        """Which text each token belongs to, (T,)."""
        return np.repeat(np.arange(self.counts.size), self.counts)

    def further(self, step: int) -> Places:
        """The token `step` places after each in its text, which begins anew at its end, (T,)."""
        found = np.arange(step, self.codes.size + step)
        ends = np.repeat(self.starts + self.counts, self.counts)
        over = np.flatnonzero(found >= ends)
        owners = self.owners[over]
        first = self.starts[owners]
        found[over] = first + (found[over] - first) % self.counts[owners]
        return found

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sum of `values` (T,) over the tokens of each text, (N,)."""
        return _sums(values, self.starts, self.counts)


def tokens(texts: pl.Series) -> Tokens:
    """The tokens of `texts`; a null has none."""
    data, starts, lengths = _bytes(texts)
    classes = np.take(_CLASSES, data)
    fresh = np.not_equal(classes[1:], classes[:-1])
    fresh |= classes[1:] == _MARK
    said = classes != _SPACE
    begins = said.copy()
    begins[1:] &= fresh
    edges = np.flatnonzero(begins)
    # A gap stands after every text, so that every token ends before another byte.
    sizes = np.flatnonzero(fresh & said[:-1]) + 1 - edges
    lanes = windows(data)
    codes = mix(lanes[edges] & _MASKS[np.minimum(sizes, WIDEST)])
    long = np.flatnonzero(sizes > WIDEST)
    # Long words differ at their ends; the length tells most of the others apart.
    ends = lanes[edges[long] + sizes[long] - WIDEST]
    codes[long] ^= mix(ends ^ sizes[long].astype(np.uint64))
    codes[codes == NUMBER] = 1
    exact = codes.copy()
    codes[classes[edges] == _DIGIT] = NUMBER
    first = np.searchsorted(edges, starts).astype(np.int64)
    last = np.searchsorted(edges, starts + lengths)
    lines = np.searchsorted(edges, np.flatnonzero(data == _NEWLINE))
    counts = (last - first).astype(np.int64)
    # The byte before the first of all tokens is the last of a gap.
    runs = _sums(_INSIDE[classes[edges]] & ~_INSIDE[classes[edges - 1]], first, counts)
    return Tokens(
        codes=codes,
        exact=exact,
        lines=lines[lines < edges.size].astype(np.int64),
        starts=first,
        counts=counts,
        runs=runs,
        words=runs - _joins(data, classes, starts),
    )


def _joins(data: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8], starts: Places) -> Places:
    """How many apostrophes of each text stand within a word, (N,)."""
    # A gap stands after every text, so that there are bytes beside every mark but the first.
    marks = np.flatnonzero(data[1:-1] == _APOSTROPHE) + 1
    marks = marks[_INSIDE[classes[marks - 1]] & _INSIDE[classes[marks + 1]]]
    return np.bincount(np.searchsorted(starts, marks, "right") - 1, minlength=starts.size)


def _sums(values: npt.NDArray[Any], starts: Places, counts: Places) -> npt.NDArray[Any]:
    """The sum of the `counts` (N,) `values` (T,) that begin at each of `starts` (N,)."""
    kind = np.int64 if values.dtype == np.bool_ else values.dtype
    found = np.zeros(counts.size, dtype=kind)
    there = counts > 0
    if there.any():
        found[there] = np.add.reduceat(values.astype(kind), starts[there])
    return found


_last: tuple[weakref.ref[pl.DataFrame], str, Tokens] | None = None


def tokens_of(frame: pl.DataFrame, column: str) -> Tokens:
    """The tokens of a column of `frame`. Several checks ask for those of one frame in turn, which are
    found once."""
    global _last
    if _last is not None and _last[0]() is frame and _last[1] == column:
        return _last[2]
    found = tokens(frame[column])
    _last = (weakref.ref(frame), column, found)
    return found


def count_words(frame: pl.DataFrame, column: str, pattern: str, *, joined: bool) -> pl.Series:
    """How often `pattern`, a run of letters and digits, stands in each text of a column of `frame`; null
    for none. With `joined` the pattern has an apostrophe within."""
    said = tokens_of(frame, column)
    texts = frame[column]
    counts = pl.Series(column, said.words if joined else said.runs)
    size = texts.str.len_bytes()
    plain = (size == texts.str.len_chars()) & (size <= _LONGEST)
    if plain.all(ignore_nulls=False):
        return counts
    # Letters beyond ASCII are told from marks by the pattern alone.
    odd = (~plain.fill_null(True)).arg_true()
    counts = counts.scatter(odd, texts.gather(odd).str.count_matches(pattern).cast(pl.Int64))
    return counts.set(texts.is_null(), None)


def text_codes(texts: pl.Series) -> Words64:
    """A code of each text as a whole, which depends on every byte that is looked at, (N,)."""
    data, starts, lengths = _bytes(texts)
    if not starts.size:
        return np.zeros(0, dtype=np.uint64)
    counts = lengths // WIDEST + 1
    begin = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum())) - np.repeat(begin, counts)
    lanes = windows(data)[np.repeat(starts, counts) + nth * WIDEST]
    codes: Words64 = mix(np.add.reduceat(mix(lanes ^ mix(nth.astype(np.uint64))), begin))
    return codes


def word_codes(words: list[str]) -> Words64:
    """The code of each of `words`, which must be single tokens, (N,)."""
    return tokens(pl.Series(words, dtype=pl.String)).codes


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

"""Texts as arrays of numbers: their pieces of a few bytes, and their phrases of a few words.

Everything here is arithmetic on whole arrays, with no step in Python for one text, and the same on
every machine: the hashes are ours, not those of a library that may change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

Words64 = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

WIDEST = 8
"""Bytes of the widest piece: one machine word, so that a piece is its own exact code."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def clean(texts: pl.Series) -> pl.Series:
    """The letters, digits and marks of `texts` with one space wherever other characters were.

    Case is left alone: the key of an input is folded already.
    """
    plain = texts.fill_null("").str.replace_all(r"[^\p{L}\p{N}\p{M}]+", " ")
    return plain.str.strip_chars(" ")


def mix(values: Words64) -> Words64:
    """Each value spread over all 64 bits; equal values stay equal."""
    mixed: Words64 = (values + _ODD) * _ODD
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX
    mixed ^= mixed >> np.uint64(29)
    return mixed


def pieces(texts: Sequence[str], width: int) -> tuple[Places, Words64]:
    """Every run of `width` bytes of each text: whose it is (S,), and its code (S,).

    A text shorter than `width` is one piece. Two pieces have the same code where they are the same
    bytes, and only there; `width` is at most WIDEST.
    """
    data, starts, lengths = _bytes_of(texts)
    counts = np.maximum(lengths - width + 1, 1)
    owners = np.repeat(np.arange(len(texts)), counts)
    places = np.arange(owners.size) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    # A machine word at every byte, whatever its alignment; the gap between texts fills the last.
    windows = np.ndarray(
        shape=(max(data.size - WIDEST + 1, 0),), dtype="<u8", buffer=data, strides=(1,)
    )
    mask = np.uint64((1 << (8 * width)) - 1)
    return owners, windows[places] & mask


def hash_texts(texts: Sequence[str]) -> Words64:
    """A hash of each text, (N,)."""
    data, starts, lengths = _bytes_of(texts)
    return _hash_spans(data, starts, lengths)


def phrases(texts: Sequence[str], words: int) -> tuple[Places, Places, Words64]:
    """Every run of `words` words of each cleaned text: whose it is, at which word, and its hash.

    A text with fewer words has none.
    """
    data, starts, lengths = _bytes_of(texts)
    owners = np.repeat(np.arange(len(texts)), lengths)
    places = np.arange(owners.size) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    inside = data[places] != ord(" ")
    # A word begins where the byte before it, in the gap or in the text, belongs to none.
    before = np.zeros(owners.size, dtype=bool)
    before[1:] = inside[:-1] & (owners[1:] == owners[:-1])
    first = np.flatnonzero(inside & ~before)
    after = np.zeros(owners.size, dtype=bool)
    after[:-1] = inside[1:] & (owners[1:] == owners[:-1])
    last = np.flatnonzero(inside & ~after)
    hashes = _hash_spans(data, places[first], last - first + 1)
    owner = owners[first]
    count = max(hashes.size - words + 1, 0)
    joined = np.zeros(count, dtype=np.uint64)
    for step in range(words):
        joined = mix(joined ^ hashes[step : step + count])
    whole = owner[:count] == owner[words - 1 : words - 1 + count]
    nth = np.arange(owner.size) - np.searchsorted(owner, owner)
    return owner[:count][whole], nth[:count][whole], joined[whole]


def chunks(lengths: Places, budget: int) -> list[tuple[int, int]]:
    """Consecutive ranges of rows of about `budget` each, by their `lengths`; a longer row is alone."""
    if not lengths.size:
        return []
    number = (np.cumsum(lengths) - lengths) // budget
    edges = np.flatnonzero(np.diff(number)) + 1
    bounds = [0, *edges.tolist(), int(lengths.size)]
    return list(pairwise(bounds))


def _bytes_of(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], Places, Places]:
    """The texts in one array with a gap of zeros after each; where each begins, and its bytes."""
    gap = "\0" * WIDEST
    data = np.frombuffer((gap.join(texts) + gap).encode(), dtype=np.uint8)
    lengths = pl.Series(texts, dtype=pl.String).str.len_bytes().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths + WIDEST) - (lengths + WIDEST)
    return data, starts, lengths


def _hash_spans(data: npt.NDArray[np.uint8], starts: Places, lengths: Places) -> Words64:
    """A hash of each span of `data`, which depends on its bytes and their places in it, (N,)."""
    if not starts.size:
        return np.zeros(0, dtype=np.uint64)
    # One place more than a span has, so that an empty span still has something to sum.
    counts = lengths + 1
    begin = np.cumsum(counts) - counts
    inside = np.arange(int(counts.sum())) - np.repeat(begin, counts)
    values = data[np.repeat(starts, counts) + inside].astype(np.uint64)
    values[begin + lengths] = 256
    return mix(np.add.reduceat(mix(values | (inside.astype(np.uint64) << np.uint64(9))), begin))

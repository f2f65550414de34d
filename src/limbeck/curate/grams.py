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


_SPACE, _END = 32, 10
_AT_ONCE = 200_000
"""Bytes of text that are cleaned at once; more would leave the processor's cache."""


def _table() -> npt.NDArray[np.uint8]:
    """Each letter and digit of ASCII as it is, and a space for every other byte."""
    kept = np.full(256, _SPACE, dtype=np.uint8)
    for first, last in (("0", "9"), ("A", "Z"), ("a", "z")):
        kept[ord(first) : ord(last) + 1] = np.arange(ord(first), ord(last) + 1)
    return kept


_KEPT = _table()


def clean(texts: pl.Series) -> pl.Series:
    """The letters, digits and marks of `texts` with one space wherever other characters were.

    Case is left alone: the key of an input is folded already.
    """
    given = texts.fill_null("")
    ascii_only = given.str.len_bytes() == given.str.len_chars()
    if ascii_only.all():
        return _clean_ascii(given)
    odd = given.filter(~ascii_only).str.replace_all(r"[^\p{L}\p{N}\p{M}]+", " ")
    plain = _clean_ascii(given.filter(ascii_only))
    places = pl.concat([ascii_only.arg_true(), (~ascii_only).arg_true()])
    return pl.concat([plain, odd.str.strip_chars(" ")]).gather(places.arg_sort())


def _clean_ascii(texts: pl.Series) -> pl.Series:
    sizes = texts.str.len_bytes().to_numpy().astype(np.int64) + 1
    found: list[str] = []
    for begin, end in chunks(sizes, _AT_ONCE):
        found += _words_alone(texts[begin:end].to_list(), sizes[begin:end])
    return pl.Series(texts.name, found, dtype=pl.String)


def _words_alone(texts: list[str], sizes: Places) -> list[str]:
    # On the bytes of all texts at once: a pattern would be asked about every word of every text.
    data = np.take(_KEPT, np.frombuffer(("\n".join(texts) + "\n").encode(), dtype=np.uint8))
    data[np.cumsum(sizes) - 1] = _END
    kept = data != _SPACE
    kept[1:] |= data[:-1] > _SPACE
    words: bytes = data[kept].tobytes().replace(b" \n", b"\n")
    return words.decode().split("\n")[:-1]


def mix(values: Words64) -> Words64:
    """Each value spread over all 64 bits; equal values stay equal."""
    mixed: Words64 = values + _ODD
    mixed *= _ODD
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
    mask = np.uint64((1 << (8 * width)) - 1)
    return owners, windows(data)[places] & mask


def spans(texts: Sequence[str], width: int) -> tuple[Words64, Places, Places]:
    """The code of the piece at every byte of all texts (B,), how many bytes belong to each text (N,), and
    the bytes at which no piece begins.

    The pieces are those of `pieces`, and come with less work where it does no harm to look at the gaps
    between the texts too.
    """
    data, starts, lengths = _bytes_of(texts)
    codes = windows(data) & np.uint64((1 << (8 * width)) - 1)
    taken = lengths + WIDEST
    counts = np.maximum(lengths - width + 1, 1)
    gaps = taken - counts
    nowhere = np.arange(int(gaps.sum())) + np.repeat(
        starts + counts - (np.cumsum(gaps) - gaps), gaps
    )
    # The last gap is shorter: no machine word begins at its end.
    taken[-1:] -= WIDEST - 1
    return codes, taken, nowhere[nowhere < codes.size]


def windows(data: npt.NDArray[np.uint8]) -> Words64:
    """The machine word that begins at every byte of `data`, whatever its alignment."""
    size = max(data.size - WIDEST + 1, 0)
    return np.ndarray(shape=(size,), dtype="<u8", buffer=data, strides=(1,))


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

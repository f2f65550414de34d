"""Which texts are almost the same: MinHash to find them, the exact Jaccard similarity to be sure.

The similarity of two texts is the share of their pieces (runs of a few bytes of the cleaned text)
that both have. Each text is sketched by one-permutation hashing with optimal densification
(Shrivastava 2017, arXiv 1703.04664), the sketch is cut into bands, and texts that agree in a band
are candidates (Leskovec et al., Mining of Massive Datasets, 3.4). In a band a text is compared with
the first of its bucket and with its next few neighbours only, in the order of the following bands as
in an LSH forest (Bawa et al. 2005), so that the work grows with the number of texts and not with its
square, even where all of them fill one template.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from limbeck.curate.grams import Places, Words64, chunks, clean, hash_texts, mix, pieces, spans
from limbeck.curate.numbers import Marks, Numbers, band_of, marks_of
from limbeck.curate.texts import Held, Texts, all_of

BINS = 128
"""Numbers in a sketch."""
NEIGHBOURS = 3
"""How many neighbours in its bucket a text is compared with, beside the first."""
CANDIDATES = 6
"""With how many others a text is compared piece by piece, those first whose sketches agree most."""
_MISSED = 0.01
"""The probability that a pair of exactly the wanted similarity shares no band."""
_SLACK = 0.12
"""How far below the wanted similarity a sketch may estimate it before the pair is let go; more than
three standard errors of BINS numbers."""
_AT_ONCE = 100_000
"""Bytes of text that are sketched at once; more would leave the processor's cache."""
_COMPARED_AT_ONCE = 1_000_000
_EMPTY = np.uint32(0xFFFFFFFF)
_RANDOM_DONORS = 64

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sketches:
    """What is remembered of N texts, those at the `rows` of all cleaned `texts` and their `numbers`.

    Texts whose `sides` (N,) differ are never near each other; without them any two may be.
    """

    texts: Texts
    numbers: tuple[Numbers, ...]
    rows: npt.NDArray[np.int32]
    width: int
    similarity: float
    sides: Words64 | None = None

    def __len__(self) -> int:
        return self.rows.size

    @property
    def bands(self) -> int:
        """How many hashes of a text there are."""
        return self.numbers[0].shape[1]

    def band(self, band: int) -> Words64:
        """One hash of each text, (N,)."""
        found = band_of(self.numbers, band)[self.rows]
        return found if self.sides is None else found ^ self.sides

    def marks(self, rows: Places) -> Marks:
        """The numbers of the sketches of some of them, (R, BINS)."""
        return marks_of(self.numbers, self.rows[rows])

    def jaccard(self, left: Places, right: Places) -> npt.NDArray[np.float64]:
        """How near the two of each pair are, (P,)."""
        first, second = (self.rows[side].astype(np.int64) for side in (left, right))
        return jaccard(self.texts, first, second, self.width)

    def pick(self, rows: Places) -> Sketches:
        """The sketches of `rows`, in that order."""
        sides = None if self.sides is None else self.sides[rows]
        return replace(self, rows=self.rows[rows], sides=sides)

    def apart(self, values: pl.Series) -> Sketches:
        """The same, but texts whose `values` differ are never near each other."""
        sides = _hashed(values)
        return replace(self, sides=sides if self.sides is None else self.sides ^ sides)

    def filed(self, name: Path) -> Sketches:
        """The same of one batch, with its texts and numbers in files of that name."""
        [numbers] = self.numbers
        filed = numbers.filed(name.with_suffix(".numbers"))
        return replace(self, texts=self.texts.filed(name.with_suffix(".txt")), numbers=(filed,))


@dataclass(frozen=True)
class Pairs:
    """Texts that are near each other: `left` is the row of the better one (P,), `right` of the other.

    `compared` is the number of pairs whose sketches were compared to find them.
    """

    left: Places
    right: Places
    similarity: npt.NDArray[np.float64]
    compared: int


def sketch(texts: pl.Series, width: int, similarity: float, numbers: bool) -> Sketches:
    """Sketches of `texts`. With `numbers`, texts whose numbers differ are never near each other."""
    cleaned = clean(texts)
    held = Held(cleaned)
    per_band = _rows_per_band(similarity)
    bands = np.zeros((BINS // per_band, len(cleaned)), dtype=np.uint64)
    marks = np.zeros((len(cleaned), BINS), dtype=np.uint8)
    for begin, end in chunks(held.sizes, _AT_ONCE):
        values = _sketch(cleaned[begin:end].to_list(), width)
        marks[begin:end] = values
        bands[:, begin:end] = _bands(values, per_band).T
    if numbers:
        bands ^= hash_numbers(cleaned)
    made = Numbers((len(cleaned), len(bands), BINS), bands, marks)
    return Sketches(held, (made,), np.arange(len(cleaned), dtype=np.int32), width, similarity)


def hash_numbers(texts: pl.Series) -> Words64:
    """A hash of the numbers of each text, (N,)."""
    return _hashed(texts.str.replace_all(r"\P{Nd}+", " ").str.strip_chars(" "))


def pairs_among(sketches: Sketches) -> Pairs:
    """Near pairs among texts that stand in the order of preference, the best first."""
    return _verified(sketches, (_in_bucket(order, keys) for order, keys in _orders(sketches)))


def pairs_between(sketches: Sketches, trusted: Mask, others: Mask) -> Pairs:
    """Near pairs of one of the `trusted` (left) and one of the `others` (right)."""
    return _verified(
        sketches,
        (_beside(order, keys, trusted, others) for order, keys in _orders(sketches)),
    )


def joined(parts: Sequence[Sketches]) -> Sketches:
    """The sketches of several batches, at least one, as those of all their texts in that order."""
    numbers = tuple(one for part in parts for one in part.numbers)
    rows = np.arange(sum(map(len, parts)), dtype=np.int32)
    return replace(
        parts[0], texts=all_of([part.texts for part in parts]), numbers=numbers, rows=rows
    )


def jaccard(texts: Texts, left: Places, right: Places, width: int) -> npt.NDArray[np.float64]:
    """The similarity of each pair of rows of the cleaned `texts`, from all their pieces, (P,)."""
    sizes = texts.sizes
    found = np.zeros(left.size, dtype=np.float64)
    for begin, end in chunks(sizes[left] + sizes[right], _COMPARED_AT_ONCE):
        rows, place = np.unique(
            np.concatenate([left[begin:end], right[begin:end]]), return_inverse=True
        )
        table = _table_of_pieces(texts.gather(rows), width)
        first, second = place[: end - begin], place[end - begin :]
        both = np.diff(table[first].multiply(table[second]).tocsr().indptr)
        count = np.diff(table.indptr)
        found[begin:end] = both / (count[first] + count[second] - both)
    return found


# ---- sketches -----------------------------------------------------------------------------------


def _rows_per_band(similarity: float) -> int:
    """As many numbers a band as can be had with no more than _MISSED of the pairs lost."""
    for rows in range(BINS // 4, 1, -1):
        if (1 - similarity**rows) ** (BINS // rows) <= _MISSED:
            return rows
    return 1


def _sketch(texts: list[str], width: int) -> npt.NDArray[np.uint32]:
    """The smallest hash in each bin, (N, BINS)."""
    codes, taken, nowhere = spans(texts, width)
    hashes = mix(codes)
    bins = (hashes >> np.uint64(57)).view(np.int64)
    bins += np.repeat(np.arange(len(texts)) * BINS, taken)
    found = hashes.astype(np.uint32)
    found[nowhere] = _EMPTY
    values = np.full(len(texts) * BINS, _EMPTY, dtype=np.uint32)
    np.minimum.at(values, bins, found)
    return _densified(values.reshape(len(texts), BINS))


def _donors() -> npt.NDArray[np.int64]:
    """Where an empty bin looks, attempt by attempt, (A, BINS): at random, and at last at all others."""
    attempts = np.arange(_RANDOM_DONORS * BINS, dtype=np.uint64)
    drawn = (mix(attempts) >> np.uint64(57)).astype(np.int64).reshape(_RANDOM_DONORS, BINS)
    turned = (np.arange(BINS) + np.arange(1, BINS)[:, None]) % BINS
    return np.concatenate([drawn, turned])


_DONORS = _donors()


def _densified(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """`values` with every empty bin filled from another that was drawn for it."""
    given = values.ravel()
    filled = given.copy()
    holes = np.flatnonzero(given == _EMPTY)
    for donors in _DONORS:
        if not holes.size:
            break
        bins = holes % BINS
        filled[holes] = given[holes - bins + donors[bins]]
        holes = holes[filled[holes] == _EMPTY]
    return filled.reshape(values.shape)


def _hashed(values: pl.Series) -> Words64:
    return hash_texts(values.cast(pl.String).fill_null("\x1f").to_list())


def _bands(values: npt.NDArray[np.uint32], per_band: int) -> Words64:
    """One hash a band, (N, BINS // per_band)."""
    count = BINS // per_band
    cut = values[:, : count * per_band].astype(np.uint64).reshape(len(values), count, per_band)
    joined = np.repeat(np.arange(count, dtype=np.uint64)[None, :], len(values), axis=0)
    for step in range(per_band):
        joined = mix(joined ^ cut[:, :, step])
    return joined


# ---- candidates ---------------------------------------------------------------------------------


def _orders(sketches: Sketches) -> Iterator[tuple[Places, Words64]]:
    """For each band the rows in the order of it and of the next one, and their hashes of it. Rows that
    are alone with theirs are left out."""
    count = sketches.bands
    first = following = sketches.band(0)
    for band in range(count):
        key = following
        following = sketches.band(band + 1) if band + 1 < count else first
        rows = _in_company(key)
        chosen = key[rows]
        place = np.lexsort((following[rows], chosen))
        yield rows[place], chosen[place]


def _in_company(keys: Words64) -> Places:
    """The rows whose key another row has too, in order."""
    ordered = np.sort(keys)
    shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not shared.size:
        return np.zeros(0, dtype=np.int64)
    place = np.minimum(np.searchsorted(shared, keys), shared.size - 1)
    return np.flatnonzero(shared[place] == keys)


def _in_bucket(order: Places, keys: Words64) -> tuple[Places, Places]:
    """Each row with the best of its bucket and with its next NEIGHBOURS."""
    if order.size < 2:
        return order[:0], order[:0]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.concatenate([starts, [order.size]]))
    firsts = np.repeat(np.minimum.reduceat(order, starts), sizes)
    crowded = np.repeat(sizes > NEIGHBOURS + 1, sizes) & (firsts != order)
    left, right = [firsts[crowded]], [order[crowded]]
    for step in range(1, NEIGHBOURS + 1):
        same = keys[step:] == keys[:-step]
        left.append(order[:-step][same])
        right.append(order[step:][same])
    one, other = np.concatenate(left), np.concatenate(right)
    return np.minimum(one, other), np.maximum(one, other)


def _beside(order: Places, keys: Words64, trusted: Mask, others: Mask) -> tuple[Places, Places]:
    """Each of the `others` with the nearest trusted rows of its bucket, before and after it."""
    at = np.flatnonzero(trusted[order])
    asked = np.flatnonzero(others[order])
    if not at.size or not asked.size:
        return order[:0], order[:0]
    after = np.searchsorted(at, asked)
    left, right = [], []
    for step in range(-NEIGHBOURS, NEIGHBOURS):
        near = at[np.clip(after + step, 0, at.size - 1)]
        there = (after + step >= 0) & (after + step < at.size) & (keys[near] == keys[asked])
        left.append(order[near[there]])
        right.append(order[asked[there]])
    return np.concatenate(left), np.concatenate(right)


def _verified(sketches: Sketches, candidates: Iterator[tuple[Places, Places]]) -> Pairs:
    """The candidates that are near each other in truth, each once, ordered by row."""
    compared = 0
    rows = max(len(sketches), 1)
    codes, agree = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    least = (sketches.similarity - _SLACK) * BINS
    for left, right in candidates:
        compared += left.size
        count = _agreement(sketches, left, right)
        codes.append((right * rows + left)[count >= least])
        agree.append(count[count >= least])
    pairs, first = np.unique(np.concatenate(codes), return_index=True)
    right, left = np.divmod(pairs, rows)
    likely = np.lexsort((left, -np.concatenate(agree)[first], right))
    owner = right[likely]
    likely = np.sort(likely[np.arange(owner.size) - np.searchsorted(owner, owner) < CANDIDATES])
    left, right = left[likely], right[likely]
    similarity = sketches.jaccard(left, right)
    near = similarity >= sketches.similarity
    return Pairs(left[near], right[near], similarity[near], compared)


def _agreement(sketches: Sketches, left: Places, right: Places) -> Places:
    """How many numbers of the sketches of each pair are the same, (P,)."""
    found = np.zeros(left.size, dtype=np.int64)
    asked = np.zeros(len(sketches), dtype=np.bool_)
    asked[left] = asked[right] = True
    marks = sketches.marks(np.flatnonzero(asked))
    place = np.cumsum(asked, dtype=np.int32) - 1
    for begin in range(0, left.size, 16_384):
        part = slice(begin, begin + 16_384)
        same = marks[place[left[part]]] == marks[place[right[part]]]
        found[part] = np.count_nonzero(same, axis=1)
    return found


def _table_of_pieces(texts: list[str], width: int) -> csr_array:
    """Which pieces each text has, as a table of ones (N, 2**48)."""
    owners, codes = pieces(texts, width)
    # 48 bits of hash leave room for the owner, so that one sort of one array does it; two different
    # pieces of a pair fall together once in about 10**9 pairs of 600 characters.
    tagged = (owners.astype(np.uint64) << np.uint64(48)) | (mix(codes) >> np.uint64(16))
    tagged.sort(kind="stable")  # which makes use of the order that the owners stand in already
    tagged = tagged[np.concatenate([[True], tagged[1:] != tagged[:-1]])]
    columns = (tagged & np.uint64((1 << 48) - 1)).astype(np.int64)
    bounds = np.searchsorted(
        tagged >> np.uint64(48), np.arange(len(texts) + 1, dtype=np.uint64)
    ).astype(np.int64)
    ones = np.ones(columns.size, dtype=np.int8)
    return csr_array((ones, columns, bounds), shape=(len(texts), 1 << 48))

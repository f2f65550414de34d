"""The numbers of many sketches, in memory or in files, of which one band is looked at at a time.

A million sketches are a quarter of a gigabyte, and two texts are compared by one column after the
other: a file holds the bands column by column, and after them the marks row by row.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limbeck.curate.grams import Words64

Marks = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Numbers:
    """The numbers of the sketches of one batch: `columns` (B, N) and `marks` (N, M), or the file that
    holds them. `shape` is N, B, M."""

    shape: tuple[int, int, int]
    columns: Words64 | None = None
    marks: Marks | None = None
    path: Path | None = None

    def band(self, band: int) -> Words64:
        """One hash of each text, (N,)."""
        if self.columns is not None:
            found: Words64 = self.columns[band]
            return found
        assert self.path is not None
        count = self.shape[0]
        return np.fromfile(self.path, np.uint64, count, offset=band * count * 8)

    def all_marks(self) -> Marks:
        """The marks of each text, (N, M)."""
        if self.marks is not None:
            return self.marks
        assert self.path is not None
        count, bands, width = self.shape
        found = np.fromfile(self.path, np.uint8, count * width, offset=bands * count * 8)
        return found.reshape(count, width)

    def filed(self, path: Path) -> Numbers:
        """The same numbers, written into the file `path`."""
        assert self.columns is not None
        assert self.marks is not None
        half = path.with_suffix(f".{os.getpid()}.half")
        with half.open("wb") as opened:
            self.columns.tofile(opened)
            self.marks.tofile(opened)
        half.replace(path)
        return Numbers(self.shape, path=path)


def band_of(parts: Sequence[Numbers], band: int) -> Words64:
    """One hash of each text of all `parts`, one part after the other."""
    found = np.empty(sum(part.shape[0] for part in parts), dtype=np.uint64)
    begin = 0
    for part in parts:
        found[begin : begin + part.shape[0]] = part.band(band)
        begin += part.shape[0]
    return found


def marks_of(parts: Sequence[Numbers], rows: npt.NDArray[np.int32]) -> Marks:
    """The marks of some texts of all `parts`, in the order of `rows`, (R, M)."""
    found = np.empty((rows.size, parts[0].shape[2]), dtype=np.uint8)
    bounds = np.cumsum([0, *(part.shape[0] for part in parts)])
    order = np.argsort(rows, kind="stable")
    edges = np.searchsorted(rows, bounds, sorter=order)
    for part, begin, first, last in zip(parts, bounds, edges, edges[1:], strict=False):
        if last > first:
            own = order[first:last]
            found[own] = part.all_marks()[rows[own] - begin]
    return found

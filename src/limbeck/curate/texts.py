"""Many texts of which a few are looked at again: held in memory, or filed on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from limbeck.curate.grams import Places

Numbers = npt.NDArray[np.int32]


class Texts(Protocol):
    """N texts; `sizes` are their bytes and one more, so that no text counts for nothing, (N,)."""

    @property
    def sizes(self) -> Places | Numbers: ...

    def gather(self, rows: Places) -> list[str]: ...

    def filed(self, path: Path) -> Texts: ...


class Held:
    """Texts in memory."""

    def __init__(self, texts: pl.Series) -> None:
        self._texts = texts

    @property
    def sizes(self) -> Places:
        return self._texts.str.len_bytes().to_numpy().astype(np.int64) + 1

    def gather(self, rows: Places) -> list[str]:
        found: list[str] = self._texts.gather(rows).to_list()
        return found

    def filed(self, path: Path) -> Filed:
        """The same texts, written one after the other into the file `path`."""
        half = path.with_suffix(f".{os.getpid()}.half")
        half.write_bytes("".join(self._texts.to_list()).encode())
        half.replace(path)
        sizes = self.sizes
        files = np.zeros(sizes.size, dtype=np.int32)
        starts = np.cumsum(sizes - 1) - (sizes - 1)
        return Filed((path,), files, starts, sizes.astype(np.int32))


@dataclass(frozen=True)
class Filed:
    """Texts in files: each begins at `starts` (N,) of the file of the number `files` (N,)."""

    paths: Sequence[Path]
    files: Numbers
    starts: Places
    sizes: Numbers

    def gather(self, rows: Places) -> list[str]:
        found = [""] * rows.size
        files = self.files[rows]
        order = np.argsort(files, kind="stable")
        bounds = np.flatnonzero(np.diff(files[order])) + 1
        for part in np.split(order, bounds) if rows.size else ():
            with self.paths[int(files[part[0]])].open("rb", buffering=0) as opened:
                for at in part.tolist():
                    row = rows[at]
                    opened.seek(int(self.starts[row]))
                    found[at] = opened.read(int(self.sizes[row]) - 1).decode()
        return found

    def filed(self, path: Path) -> Filed:
        return self


def all_of(parts: Sequence[Texts]) -> Texts:
    """The texts of several batches, one after the other."""
    if len(parts) == 1:
        return parts[0]
    filed = [part for part in parts if isinstance(part, Filed)]
    if len(filed) < len(parts):
        held = [part.gather(np.arange(part.sizes.size)) for part in parts]
        return Held(pl.Series([text for some in held for text in some], dtype=pl.String))
    counts = np.cumsum([0, *(len(part.paths) for part in filed)])
    return Filed(
        [path for part in filed for path in part.paths],
        np.concatenate(
            [part.files + np.int32(at) for part, at in zip(filed, counts[:-1], strict=True)]
        ),
        np.concatenate([part.starts for part in filed]),
        np.concatenate([part.sizes for part in filed]),
    )

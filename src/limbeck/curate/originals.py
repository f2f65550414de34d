"""The traces behind an index with all their texts: a few of them, or all in the order of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from limbeck.curate.batches import Placing, place_batch
from limbeck.curate.engine import Engine
from limbeck.curate.parts import Part, Spill

TEXTS = ("trace_id", "input", "choices", "rationale", "answer_raw", "repaired")

TABLE = 32_768
"""Traces that are put in order at once."""

_FEW = 4
"""Where no more than one row in so many is picked, the rest is worth letting go."""


class Originals:
    """The parts that an index names by number, in which each trace stands with all its columns."""

    def __init__(self, parts: Sequence[Part], spill: Spill, engine: Engine) -> None:
        self._parts = parts
        self._spill = spill
        self._engine = engine

    def frame(self, rows: pl.DataFrame, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The traces of some rows of an index as a frame, in the order of `rows`."""
        found, places = [], []
        picked = rows.select("part", "row").with_row_index("place")
        for (part,), some in picked.partition_by("part", as_dict=True).items():
            found.append(_picked(self._parts[int(part)].load(columns), some["row"]))
            places.append(some["place"])
        if not found:
            return self._parts[0].load(columns).clear() if self._parts else pl.DataFrame()
        return pl.concat(found)[pl.concat(places).arg_sort()]

    def texts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`TEXTS` of some rows of an index, in their order."""
        return self.frame(rows, TEXTS)

    def in_order(self, rows: pl.DataFrame, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """All `rows`, table by table in their order, with those `columns` of their traces."""
        numbered = rows.with_row_index("rank")
        items = [
            Placing(
                number=part,
                part=self._parts[part],
                rows=self._spill.keep(f"decided-{part:06}", some),
                columns=tuple(columns),
                size=TABLE,
                folder=self._spill.folder,
            )
            for part, some in by_part(numbered)
        ]
        del numbered
        pieces: dict[int, list[Part]] = {}
        for placed in self._engine.map(place_batch, items):
            for number, piece in placed.items():
                pieces.setdefault(number, []).append(piece)
        for number in sorted(pieces):
            table = pl.concat([piece.load() for piece in pieces[number]]).sort("rank")
            for piece in pieces[number]:
                piece.drop()
            yield table.drop("rank")

    def close(self) -> None:
        """Give the space back; nothing can be looked up any more."""
        self._engine.close()
        self._spill.close()


def by_part(rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """The number of each part and its `rows` without that number, one part after the other: all of them
    at once would be a second copy of the index."""
    for part in rows["part"].unique().sort():
        yield part, rows.filter(pl.col("part") == part).drop("part")


def _picked(frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Some rows of `frame`."""
    picked = frame[rows]
    if picked.height * _FEW > frame.height:
        return picked
    # polars would keep all texts of the frame in memory for as long as a few of them are used.
    return pl.DataFrame({one.name: one.to_list() for one in picked}, schema=picked.schema)

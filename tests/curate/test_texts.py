from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from limbeck.curate.texts import Filed, Held, all_of

SAID = ["one", "", "zwölf", "x" * 50, "\U0001f600 and", "six"]


def test_texts_on_disk_are_those_that_were_held(tmp_path: Path) -> None:
    first, second = Held(pl.Series(SAID[:4])), Held(pl.Series(SAID[4:]))
    filed = all_of([first.filed(tmp_path / "a.txt"), second.filed(tmp_path / "b.txt")])
    assert isinstance(filed, Filed)
    held = all_of([first, second])
    rows = np.array([5, 0, 2, 2, 4, 1, 3])
    assert filed.gather(rows) == held.gather(rows) == [SAID[row] for row in rows]
    assert filed.sizes.tolist() == held.sizes.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_no_texts_are_gathered_where_none_is_asked_for(tmp_path: Path) -> None:
    filed = Held(pl.Series(SAID)).filed(tmp_path / "a.txt")
    assert filed.gather(np.zeros(0, dtype=np.int64)) == []

"""Whether the rationale concludes on the answer that follows it: 1, or 0 where it concludes on another.

The check is the one that curation makes of a teacher's chain.
"""

from __future__ import annotations

import polars as pl

from limbeck.curate.checks import contradiction
from limbeck.evaluate.signals.reading import Reading

_SETTINGS = contradiction.Settings()


def read(reading: Reading) -> float:
    if not reading.said.rationale or reading.answer is None:
        return 1.0
    row = {
        "rationale": [reading.said.rationale],
        "answer": [reading.answer],
        "choices": [list(reading.choices or reading.task.answer.choices)],
    }
    found = contradiction.check(pl.DataFrame(row), reading.task, _SETTINGS)
    return float(found["verdict"][0])

"""Whether the rationale concludes on the answer that follows it: 1, or 0 where it concludes on another.

The check is the one that curation makes of a teacher's chain.
"""

from __future__ import annotations

from limbeck.curate.checks.contradiction import against
from limbeck.evaluate.signals.reading import Reading


def read(reading: Reading) -> float:
    said, task = reading.said, reading.task
    choices = reading.choices or task.answer.choices
    return float(against(task, said.rationale, reading.answer, choices) is None)

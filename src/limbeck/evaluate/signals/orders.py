"""Whether the student gives the same answer without its rationale as with it: 1 or 0.

1 where it was not asked. A rationale that changes the answer marks a call on which the student is torn.
"""

from __future__ import annotations

from limbeck.evaluate.signals.reading import Reading
from limbeck.verify.table import judge


def read(reading: Reading) -> float:
    if reading.direct is None or reading.answer is None:
        return 1.0
    verdict = judge(reading.task, reading.direct, reading.answer, reading.choices)
    return float(verdict.score == 1.0)

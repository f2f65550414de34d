"""How many of the rationale's equations and comparisons do not hold; 0 where it has none."""

from __future__ import annotations

from limbeck.evaluate.signals.reading import Reading, steps_of

MOST = 3


def read(reading: Reading) -> float:
    rationale = reading.said.rationale
    if not rationale:
        return 0.0
    return float(min(MOST, sum(not step.right for step in steps_of(rationale))))

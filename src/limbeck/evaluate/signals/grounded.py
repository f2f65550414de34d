"""The share of the rationale's numbers that stand in the input or come out of its own equations.

1 where it has no number. A number from nowhere is the commonest slip of a small student.
"""

from __future__ import annotations

from fractions import Fraction

from limbeck.curate.chain import numbers
from limbeck.curate.formula import Value
from limbeck.evaluate.signals.reading import Reading, steps_of


def read(reading: Reading) -> float:
    rationale = reading.said.rationale
    said = numbers(rationale) if rationale else []
    if not rationale or not said:
        return 1.0
    known: set[Value] = {Fraction(number) for number in numbers(reading.input)}
    known.update(step.value for step in steps_of(rationale) if step.relation == "=")
    return sum(Fraction(number) in known for number in said) / len(said)

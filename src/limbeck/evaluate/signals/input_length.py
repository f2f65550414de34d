"""Log of the number of words of the input."""

from __future__ import annotations

import math

from limbeck.evaluate.signals.reading import Reading


def read(reading: Reading) -> float:
    return math.log1p(len(reading.input.split()))

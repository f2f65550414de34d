"""Log of the number of tokens written: a chain of unusual length is often a bad one."""

from __future__ import annotations

import math

from limbeck.evaluate.signals.reading import Reading


def read(reading: Reading) -> float:
    return math.log1p(reading.said.new_tokens)

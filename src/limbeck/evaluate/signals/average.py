"""Mean log-probability of the answer's tokens, in nats."""

from __future__ import annotations

import math

from limbeck.evaluate.signals.reading import FLOOR, Reading


def read(reading: Reading) -> float:
    logprobs = reading.said.logprobs
    return max(FLOOR, math.fsum(logprobs) / len(logprobs)) if logprobs else FLOOR

"""Log-probability of the least likely token of the answer, in nats.

A quantile, not a sum: sums punish long answers for their length.
"""

from __future__ import annotations

from limbeck.evaluate.signals.reading import FLOOR, Reading


def read(reading: Reading) -> float:
    return max(FLOOR, min(reading.said.logprobs, default=FLOOR))

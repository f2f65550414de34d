"""The lower decile of the log-probabilities of the answer's tokens, in nats.

In a long answer the single least likely token is often a matter of wording; the tenth is steadier
(Gupta et al. 2024, arXiv 2404.10136: quantiles do better than sums and means).
"""

from __future__ import annotations

from limbeck.evaluate.signals.reading import FLOOR, Reading


def read(reading: Reading) -> float:
    ordered = sorted(reading.said.logprobs)
    return max(FLOOR, ordered[(len(ordered) - 1) // 10]) if ordered else FLOOR

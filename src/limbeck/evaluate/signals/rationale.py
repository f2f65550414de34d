"""Mean log-probability of the rationale's tokens, in nats; 0 where none was written."""

from __future__ import annotations

from limbeck.evaluate.signals.reading import FLOOR, Reading


def read(reading: Reading) -> float:
    return max(FLOOR, reading.said.rationale_logprob)

"""The smallest lead of a chosen token over the next best inside the answer, in nats."""

from __future__ import annotations

from limbeck.evaluate.signals.reading import FLOOR, Reading


def read(reading: Reading) -> float:
    return min(-FLOOR, reading.said.margin)

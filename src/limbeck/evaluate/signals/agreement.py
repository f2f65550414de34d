"""The share of sampled replies whose answer is the greedy one's; 1 where none were sampled."""

from __future__ import annotations

from limbeck.evaluate.signals.reading import Reading
from limbeck.verify.table import judge


def read(reading: Reading) -> float:
    if not reading.samples or reading.answer is None:
        return 1.0
    return sum(_same(reading, sample) for sample in reading.samples) / len(reading.samples)


def _same(reading: Reading, sample: str | None) -> bool:
    if sample is None or reading.answer is None:
        return False
    return judge(reading.task, sample, reading.answer, reading.choices).score == 1.0

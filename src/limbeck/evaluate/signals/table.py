"""The signals by name: what each costs, and which a policy is fitted on unless it is told otherwise.

To add one: a file in this folder with a function `read`, and one line in `SIGNALS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Protocol, cast

from limbeck.errors import UsageError
from limbeck.evaluate.signals.reading import Reading

SIGNALS: dict[str, str] = {
    "lowest": "limbeck.evaluate.signals.lowest",
    "tenth": "limbeck.evaluate.signals.tenth",
    "average": "limbeck.evaluate.signals.average",
    "margin": "limbeck.evaluate.signals.margin",
    "rationale": "limbeck.evaluate.signals.rationale",
    "length": "limbeck.evaluate.signals.length",
    "input_length": "limbeck.evaluate.signals.input_length",
    "arithmetic": "limbeck.evaluate.signals.arithmetic",
    "grounded": "limbeck.evaluate.signals.grounded",
    "consistent": "limbeck.evaluate.signals.consistent",
    "novelty": "limbeck.evaluate.signals.novelty",
    "agreement": "limbeck.evaluate.signals.agreement",
    "orders": "limbeck.evaluate.signals.orders",
}
DEAR = ("agreement", "orders")
"""Signals for which the student has to be asked again, on every call."""
USUAL = tuple(name for name in SIGNALS if name not in DEAR)


class Signal(Protocol):
    def __call__(self, reading: Reading, /) -> float: ...


@lru_cache(maxsize=64)
def load(name: str) -> Signal:
    """Raises UsageError for a name that is not in the table."""
    if name not in SIGNALS:
        raise UsageError(f"there is no signal {name!r}; wanted some of {', '.join(SIGNALS)}")
    return cast(Signal, import_module(SIGNALS[name]).read)


def read_signals(reading: Reading, names: Sequence[str] = USUAL) -> tuple[float, ...]:
    """The named signals of one reply, in the order of `names`."""
    return tuple(load(name)(reading) for name in names)

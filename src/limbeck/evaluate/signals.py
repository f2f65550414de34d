"""What a student's reply says about itself: the inputs of the rule for who answers."""

from __future__ import annotations

import math
from collections.abc import Callable

from limbeck.models.local import Said

FLOOR = -20.0
"""Log-probabilities below this say nothing more, and would let one token rule a fit."""


def lowest(said: Said) -> float:
    """Log-probability of the least likely token of the answer, in nats. A quantile, not a sum: sums
    punish long answers for their length."""
    return max(FLOOR, min(said.logprobs, default=FLOOR))


def average(said: Said) -> float:
    """Mean log-probability of the answer's tokens, in nats."""
    return max(FLOOR, math.fsum(said.logprobs) / len(said.logprobs)) if said.logprobs else FLOOR


def margin(said: Said) -> float:
    """The smallest lead of a chosen token over the next best in the answer, in nats."""
    return min(-FLOOR, said.margin)


def rationale(said: Said) -> float:
    """Mean log-probability of the rationale's tokens, in nats; 0 where none was written."""
    return max(FLOOR, said.rationale_logprob)


def length(said: Said) -> float:
    """Log of the number of tokens written: a chain of unusual length is often a bad one."""
    return math.log1p(said.new_tokens)


SIGNALS: dict[str, Callable[[Said], float]] = {
    "lowest": lowest,
    "average": average,
    "margin": margin,
    "rationale": rationale,
    "length": length,
}


def read_signals(said: Said) -> tuple[float, ...]:
    """All signals of one reply, in the order of `SIGNALS`."""
    return tuple(signal(said) for signal in SIGNALS.values())

"""What a load generator is told, and what it found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.types import Noun
from traffic.wire import Behaviour, Dialect


class Order(Noun):
    """A closed loop: `clients` connections, each asking again as soon as it has its answer.

    It ends after `seconds` or `limit` requests, whichever is first; what is open then is waited for.
    Counters begin at `first`. `exact`: the body must come as the teacher sent it, byte for byte; else
    it must hold the teacher's last word.
    """

    port: int
    path: str
    dialect: Dialect = "messages"
    streamed: bool = False
    behaviour: Behaviour = Behaviour()
    clients: Annotated[int, Field(gt=0)] = 1
    seconds: Annotated[float, Field(gt=0)] = 3.0
    limit: Annotated[int, Field(gt=0)] = 10_000_000
    first: int = 0
    exact: bool = True
    grace_s: float = 60.0
    """How long the last answers may take before they count as failed."""


class Spread(Noun):
    """Milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float
    max: float


class Window(Noun):
    """What came of an Order. `seconds` reach from the first request to the last answer; `first_byte`
    is the time to the first byte of a body."""

    requests: int
    failed: int
    reasons: dict[str, int]
    seconds: float
    rate: float
    latency_ms: Spread | None = None
    first_byte_ms: Spread | None = None
    load_cpu_s: float = 0.0


def spread(nanoseconds: Sequence[int]) -> Spread | None:
    """The nearest-rank percentiles, in milliseconds; None of nothing."""
    if not nanoseconds:
        return None
    ordered = sorted(nanoseconds)

    def at(share: float) -> float:
        rank = max(math.ceil(share * len(ordered)), 1)
        return round(ordered[rank - 1] / 1e6, 4)

    mean = round(sum(ordered) / len(ordered) / 1e6, 4)
    return Spread(mean=mean, p50=at(0.5), p90=at(0.9), p99=at(0.99), max=at(1.0))

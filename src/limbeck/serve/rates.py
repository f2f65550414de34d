"""How many calls a client key or a task may make: one token bucket each."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from limbeck.errors import ConfigError

_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(s|sec|second|min|minute|h|hour|day)\s*", re.ASCII)
_SECONDS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_DAY = 86400
_MOST = 10_000


class Rate(NamedTuple):
    """`calls` in `seconds`; as many at once where none came for so long."""

    calls: int
    seconds: int


def parse_rate(text: str) -> Rate:
    """`10/s`, `600/min`, `1000/hour` or `5000/day`. Raises ConfigError for another shape."""
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ConfigError(
            f"rate is {text!r}; wanted calls by time, such as 10/s, 600/min, 1000/hour"
        )
    return Rate(int(found[1]), _SECONDS.get(found[2], _DAY))


class Rates:
    """The buckets of a gateway, by name. At most `most` of them: the one used longest ago goes first,
    and who owned it starts anew with a full one.

    Not for several threads. `now` is in seconds of any clock that does not go back.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, limits: Sequence[tuple[str, Rate]], now: float) -> float | None:
        """One call out of each bucket of `limits`, or the seconds to wait until all have one.

        Where one of them is empty nothing is taken from any.
        """
        filled = [(name, rate, self._filled(name, rate, now)) for name, rate in limits]
        wait = max(
            ((1 - have) * rate.seconds / rate.calls for _, rate, have in filled), default=0.0
        )
        if wait > 0:
            return wait
        for name, _, have in filled:
            self._buckets[name] = have - 1, now
            self._buckets.move_to_end(name)
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return None

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, name: str, rate: Rate, now: float) -> float:
        have, at = self._buckets.get(name, (float(rate.calls), now))
        return min(rate.calls, have + max(0.0, now - at) * rate.calls / rate.seconds)

"""What a call costs: money, time and tokens, of a student beside its teacher."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from limbeck.types import Noun, Trace


class Cost(Noun):
    """Of one who answers. Money is what is paid to a provider; None where nobody knows it.

    `seconds` is the mean time of a call: in batches on this machine for a local student, as the caller
    saw it for a remote one. `tokens` is the mean number written.
    """

    name: str
    n: int
    usd_per_thousand: float | None
    seconds: float | None
    p95_seconds: float | None
    tokens: float


def teacher_cost(traces: Iterable[Trace]) -> Cost | None:
    """From the recorded calls of the same items; None without any."""
    calls = [trace for trace in traces if trace.provenance.source != "student"]
    if not calls:
        return None
    paid = [one.cost_usd for one in calls if one.cost_usd is not None]
    waited = [one.latency_s for one in calls if one.latency_s is not None]
    return Cost(
        name="teacher",
        n=len(calls),
        usd_per_thousand=1000 * float(np.mean(paid)) if paid else None,
        seconds=float(np.mean(waited)) if waited else None,
        p95_seconds=float(np.quantile(waited, 0.95)) if waited else None,
        tokens=float(np.mean([one.usage.output for one in calls])),
    )

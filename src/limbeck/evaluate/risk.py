"""Risk and coverage: what error rate is left among the calls that a student keeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from limbeck.types import Noun


class Point(Noun):
    """At `threshold` and above, a share `coverage` is kept, of which a share `risk` is wrong."""

    threshold: float
    coverage: float
    risk: float


def curve(score: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Point]:
    """The selective risk at every coverage, from the surest call to all of them; ties go together."""
    order = np.argsort(-score, kind="stable")
    wrong = np.cumsum(~right[order])
    kept = np.arange(1, len(order) + 1)
    ends = np.append(score[order][1:] != score[order][:-1], True)
    return [
        Point(
            threshold=float(score[order][at]),
            coverage=float(kept[at] / len(order)),
            risk=float(wrong[at] / kept[at]),
        )
        for at in np.flatnonzero(ends)
    ]


def aurc(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve: the mean selective risk over coverages 1/n .. 1."""
    order = np.argsort(-score, kind="stable")
    return float(np.mean(np.cumsum(~right[order]) / np.arange(1, len(order) + 1)))


def coverage_at(points: list[Point], risk: float) -> float:
    """The largest coverage whose selective risk is at most `risk`; 0 where there is none."""
    return max((point.coverage for point in points if point.risk <= risk), default=0.0)

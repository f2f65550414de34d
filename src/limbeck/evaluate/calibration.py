"""The calibration suite: does a student know when it is wrong?

Two probabilities are held against what turned out: the student's own (the likelihood of its answer), and
what a rule makes of its signals, fitted on the calibration split and read on the split that is
evaluated. Brier, ECE and AURC need no promise; the promise is made by `limbeck calibrate`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import DataError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.intervals import Interval, wilson
from limbeck.evaluate.risk import aurc
from limbeck.evaluate.rule import calibrated
from limbeck.evaluate.score import fit_score
from limbeck.types import Noun

RISKS = (0.01, 0.02, 0.05, 0.1)
BINS = 10
_DRAWS = 500
_FITTED_FEWEST = 40


class Bin(Noun):
    """Calls whose probability lies together: what was said on average, and what came true."""

    said: float
    true: float
    interval: Interval
    n: int


class Coverage(Noun):
    """The largest share of calls among which no more than `risk` were wrong, on this split. It is read
    off afterwards and promises nothing."""

    risk: float
    coverage: float
    interval: Interval


class Reliability(Noun):
    """One probability against the outcome. ECE is over bins of equal count; it is never below what
    luck gives, so `ece_by_luck` says what a perfect probability would have shown."""

    of: str
    brier: float
    brier_interval: Interval
    ece: float
    ece_interval: Interval
    ece_by_luck: float
    aurc: float
    aurc_interval: Interval
    bins: tuple[Bin, ...]
    coverages: tuple[Coverage, ...]


class CalibrationSuite(Noun):
    student: str
    n: int
    accuracy: float
    reliabilities: tuple[Reliability, ...]
    findings: tuple[str, ...]


def calibration_suite(test: Answers, calibration: Answers | None) -> CalibrationSuite:
    """`test` must hold the replies that its signals were read from; `calibration` are the student's
    answers to the calibration split, or None where there are too few.

    Raises DataError for one whose replies carry no probabilities, such as a remote teacher.
    """
    if not test.readings:
        raise DataError(
            f"{test.folder.name!r} gives no probabilities with its answers, so that there is nothing to "
            "hold against the outcome; evaluate its calibration from its folder"
        )
    likelihood = np.exp(
        [sum(one.said.logprobs) if one.said.logprobs else -50.0 for one in test.readings]
    )
    found = [reliability("its own likelihood", likelihood, test.right)]
    if calibration is not None and len(calibration.right) >= _FITTED_FEWEST:
        usable = np.array([said is not None for said in calibration.said])
        score = fit_score(calibration.signals[usable], calibration.right[usable])
        fitted = calibrated(score.knots, score.raw(test.signals))
        # What is not in form is never right, and everybody can see that it is not in form.
        fitted = np.where([said is not None for said in test.said], fitted, 0.0)
        found.append(reliability("the fitted probability", fitted, test.right))
    suite = CalibrationSuite(
        student=test.folder.name,
        n=len(test.right),
        accuracy=float(test.right.mean()),
        reliabilities=tuple(found),
        findings=(),
    )
    return suite.model_copy(update={"findings": tuple(_findings(suite))})


def reliability(
    of: str, said: NDArray[np.float64], right: NDArray[np.bool_], *, seed: int = 0
) -> Reliability:
    """How a probability (N,) relates to what was right (N,), with bootstrap intervals."""
    random = np.random.default_rng(seed)
    n = len(right)
    draws = random.integers(0, n, size=(_DRAWS, n))
    eces, briers, aurcs = [], [], []
    for rows in draws:
        eces.append(ece(said[rows], right[rows]))
        briers.append(float(np.mean((said[rows] - right[rows]) ** 2)))
        aurcs.append(aurc(said[rows], right[rows]))
    luck = [ece(said, random.random(n) < said) for _ in range(200)]
    covered = np.array([_coverages(said[rows], right[rows]) for rows in draws])
    coverages = _coverages(said, right)
    return Reliability(
        of=of,
        brier=float(np.mean((said - right) ** 2)),
        brier_interval=_interval(briers),
        ece=ece(said, right),
        ece_interval=_interval(eces),
        ece_by_luck=float(np.mean(luck)),
        aurc=aurc(said, right),
        aurc_interval=_interval(aurcs),
        bins=tuple(_bins(said, right)),
        coverages=tuple(
            Coverage(
                risk=risk,
                coverage=coverages[at],
                interval=_interval(covered[:, at].tolist()),
            )
            for at, risk in enumerate(RISKS)
        ),
    )


def ece(said: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error over bins of equal count (Nguyen and O'Connor 2015)."""
    order = np.argsort(said, kind="stable")
    gap = 0.0
    for rows in np.array_split(order, min(bins, len(order))):
        gap += abs(float(said[rows].mean()) - float(right[rows].mean())) * len(rows)
    return gap / len(order)


def _coverages(said: NDArray[np.float64], right: NDArray[np.bool_]) -> list[float]:
    """The largest coverage at each of RISKS, ties going together (`risk.coverage_at`, without its
    points, of which a bootstrap would make millions)."""
    order = np.argsort(-said, kind="stable")
    kept = np.arange(1, len(order) + 1)
    risk = np.cumsum(~right[order]) / kept
    ends = np.append(said[order][1:] != said[order][:-1], True)
    return [
        float(kept[allowed].max() / len(order)) if (allowed := ends & (risk <= most)).any() else 0.0
        for most in RISKS
    ]


def _bins(said: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    order = np.argsort(said, kind="stable")
    return [
        Bin(
            said=float(said[rows].mean()),
            true=float(right[rows].mean()),
            interval=wilson(int(right[rows].sum()), len(rows)),
            n=len(rows),
        )
        for rows in np.array_split(order, min(BINS, len(order)))
    ]


def _interval(values: Sequence[float]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))


def _findings(suite: CalibrationSuite) -> list[str]:
    found = []
    for one in suite.reliabilities:
        if one.ece_interval.low > one.ece_by_luck:
            gap = np.mean([b.said for b in one.bins]) - np.mean([b.true for b in one.bins])
            which = "too sure" if gap > 0 else "not sure enough" if gap < 0 else "off"
            found.append(
                f"{suite.student} is {which} by {one.of}, which misses the truth by "
                f"{one.ece:.1%} on average, where luck alone would show {one.ece_by_luck:.1%}."
            )
    at = next((c for c in suite.reliabilities[-1].coverages if c.risk == 0.05), None)
    if at is not None:
        found.append(
            f"At best {at.coverage:.1%} of these calls could have been kept with 5 % of them wrong; "
            "limbeck calibrate finds a threshold that holds beyond these calls."
        )
    return found

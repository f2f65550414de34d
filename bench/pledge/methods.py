"""Ways to choose a threshold, each with what it promises, over many calibration sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from limbeck.evaluate.calibrate import FIT_SHARE
from limbeck.evaluate.intervals import clopper_pearson
from limbeck.evaluate.rule import calibrated
from limbeck.evaluate.score import fit_score
from limbeck.evaluate.threshold import (
    Judged,
    at_most_wrong,
    candidates,
    fewest_calls,
    learn_then_test,
)
from pledge.worlds import Floats, World

Bools = NDArray[np.bool_]
PLAN = {"fixed": 0.9, "quantile": 0.5}
"""The fixed threshold on the student's own probability, and the share of calls that a RouteLLM-type
quantile sends to the teacher."""
PROMISES = {
    "ours": "at most α of local answers are wrong, with confidence 1 − δ",
    "mapie": "the same, by MAPIE's split fixed-sequence test on the same scores and calls",
    "empirical": "nothing; it keeps the share of errors on its own calls at α",
    "fixed": f"nothing; it answers where the student's own probability is {PLAN['fixed']} or more",
    "quantile": f"a share of calls: {PLAN['quantile']:.0%} go to the teacher (as RouteLLM calibrates)",
}


@dataclass
class Tally:
    """What came of one method over all calibration sets."""

    risks: list[float] = field(default_factory=list)
    coverages: list[float] = field(default_factory=list)

    def add(self, coverage: float, risk: float) -> None:
        self.coverages.append(coverage)
        self.risks.append(risk)

    def summary(self, max_risk: float, delta: float, oracle: float) -> dict[str, Any]:
        runs = len(self.risks)
        broken = sum(risk > max_risk + 1e-12 for risk in self.risks)
        interval = clopper_pearson(broken, runs)
        coverage = np.array(self.coverages)
        given = coverage[coverage > 0]
        # Of what hardly exists no share is meant.
        known = oracle >= 0.1
        return {
            "runs": runs,
            "broken": broken,
            "broken_share": round(broken / runs, 4),
            "broken_interval": [round(interval.low, 4), round(interval.high, 4)],
            "allowed": int(stats.binom.ppf(0.999, runs, delta)),
            "kept": broken <= int(stats.binom.ppf(0.999, runs, delta)),
            "without_policy": int((coverage == 0).sum()),
            "coverage": round(float(coverage.mean()), 4),
            "of_oracle": round(float(coverage.mean() / oracle), 4) if known else None,
            "of_oracle_median": round(float(np.median(coverage) / oracle), 4) if known else None,
            "risk_mean": round(float(np.mean(self.risks)), 5) if len(given) else None,
        }


class Ranked:
    """A world in the order of a score: the coverage and the risk of every threshold, counted."""

    def __init__(self, score: Floats, right: Bools) -> None:
        order = np.argsort(-score, kind="stable")
        self._score = -score[order]
        self._wrong = np.concatenate([[0], np.cumsum(~right[order])])
        kept = np.arange(1, len(score) + 1)
        ends = np.append(self._score[1:] != self._score[:-1], True)
        self._risk = self._wrong[1:] / kept
        self._ends = np.flatnonzero(ends)

    def at(self, threshold: float | None) -> tuple[float, float]:
        """(coverage, risk); (0, 0) where there is no threshold."""
        if threshold is None:
            return 0.0, 0.0
        kept = int(np.searchsorted(self._score, -threshold, side="right"))
        return (kept / len(self._score), float(self._wrong[kept] / kept)) if kept else (0.0, 0.0)

    def oracle(self, max_risk: float) -> float:
        """The largest coverage with a risk of at most `max_risk`, for who knows all risks."""
        good = self._ends[self._risk[self._ends] <= max_risk]
        return float(good.max() + 1) / len(self._score) if len(good) else 0.0

    def provable(self, max_risk: float, delta: float, tested: int) -> float:
        """The largest coverage at which an exact test of so many calls passes in half of all cases."""
        ends = self._ends[:: max(1, len(self._ends) // 2000)]
        kept = np.maximum(1, np.round((ends + 1) / len(self._score) * tested))
        errors = np.floor(self._risk[ends] * kept)
        passed = stats.binom.cdf(errors, kept, max_risk) <= delta
        return float(ends[passed].max() + 1) / len(self._score) if passed.any() else 0.0


@dataclass(frozen=True)
class Plan:
    n: int
    fits: int
    bounds: int
    max_risk: float
    delta: float
    mapie: int
    """Of the calibration sets, how many MAPIE sees: one takes it a quarter of a second."""


def run(world: World, plan: Plan, seed: int) -> dict[str, Any]:
    """`fits` rules, each with `bounds` sets of calls that test its threshold."""
    random = np.random.default_rng(seed)
    n_fit = round(FIT_SHARE * plan.n)
    tallies = {name: Tally() for name in PROMISES}
    mapie = second_opinion()
    own = Ranked(world.probability, world.right)
    oracles, provables = [], []
    beside: list[tuple[float, float]] = []
    enough = fewest_calls(plan.max_risk, plan.delta)
    for _ in range(plan.fits):
        rows = random.integers(0, len(world.right), n_fit)
        score_of = _fitted(world, rows)
        score = score_of(world.signals)
        ranked = Ranked(score, world.right)
        oracles.append(ranked.oracle(plan.max_risk))
        provables.append(ranked.provable(plan.max_risk, plan.delta, plan.n - n_fit))
        fit = _judged(score, world.right, rows)
        for number in range(plan.bounds):
            tested = random.integers(0, len(world.right), plan.n - n_fit)
            bound = _judged(score, world.right, tested)
            found = learn_then_test(fit, bound, at_most_wrong(plan.max_risk), enough, plan.delta)
            passed = found.threshold if found.passed else None
            tallies["ours"].add(*ranked.at(passed))
            tallies["empirical"].add(*ranked.at(_empirical(fit, bound, plan.max_risk)))
            calls = np.concatenate([rows, tested])
            tallies["fixed"].add(*own.at(PLAN["fixed"]))
            share = float(np.quantile(world.probability[calls], PLAN["quantile"]))
            tallies["quantile"].add(*own.at(share))
            if mapie is not None and number * plan.fits < plan.mapie:
                grid = candidates(fit.score, enough)
                theirs = ranked.at(mapie(fit, bound, grid, plan))
                tallies["mapie"].add(*theirs)
                beside.append((tallies["ours"].coverages[-1], theirs[0]))
    oracle = float(np.mean(oracles))
    return {
        "what": world.what,
        "n": plan.n,
        "accuracy": round(float(world.right.mean()), 4),
        "oracle_coverage": round(oracle, 4),
        "provable_coverage": round(float(np.mean(provables)), 4),
        "coverage_beside_mapie": [[round(one, 4), round(other, 4)] for one, other in beside],
        "methods": {
            name: tally.summary(plan.max_risk, plan.delta, oracle)
            for name, tally in tallies.items()
            if tally.risks
        },
    }


def _fitted(world: World, rows: NDArray[np.int64]) -> Callable[[Floats], Floats]:
    score = fit_score(world.signals[rows], world.right[rows])
    return lambda signals: calibrated(score.knots, score.raw(signals))


def _judged(score: Floats, right: Bools, rows: NDArray[np.int64]) -> Judged:
    return Judged(score[rows], right[rows], np.ones(len(rows), dtype=np.bool_))


def _empirical(fit: Judged, bound: Judged, max_risk: float) -> float | None:
    """The threshold of the largest coverage whose share of errors on these calls is at most α."""
    score = np.concatenate([fit.score, bound.score])
    right = np.concatenate([fit.right, bound.right])
    order = np.argsort(-score, kind="stable")
    risk = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(risk <= max_risk)
    return float(score[order][good[-1]]) if len(good) else None


def second_opinion() -> Callable[[Judged, Judged, Floats, Plan], float | None] | None:
    """MAPIE's threshold for the same candidates, or None where it is not installed."""
    try:
        from mapie.risk_control import BinaryClassificationController
    except ImportError:
        return None

    def two_columns(scores: Any) -> Floats:
        first = np.asarray(scores, dtype=np.float64)[:, 0]
        return np.column_stack([1 - first, first])

    def choose(fit: Judged, bound: Judged, grid: Floats, plan: Plan) -> float | None:
        controller = BinaryClassificationController(
            two_columns,
            risk="precision",
            target_level=1 - plan.max_risk,
            confidence_level=1 - plan.delta,
            list_predict_params=grid,
            fwer_method="split_fixed_sequence",
        )
        with warnings.catch_warnings():
            # It warns where no threshold passes, which is one of the answers here.
            warnings.simplefilter("ignore")
            controller.learn_fixed_sequence_order(fit.score[:, None], fit.right.astype(int))
            controller.calibrate(bound.score[:, None], bound.right.astype(int))
        valid = np.atleast_1d(np.asarray(controller.valid_predict_params, dtype=np.float64))
        return float(valid.min()) if valid.size else None

    return choose

"""From a student's replies on held-out data to a policy with a promise.

The calibration split is cut in two. On the first half a logistic model is fitted that turns the
signals into P(answer is right), and the candidate thresholds and their order are chosen. On the
second half they are tested in that order by Learn-then-Test (Angelopoulos et al. 2021, arXiv
2110.01052): the p-value of "the error rate at this threshold exceeds α" is the binomial tail
P(Bin(n, α) ≤ errors), and the last threshold before the first failure is taken. With probability
1 − δ over the calibration data the error rate among locally answered calls is then at most α,
provided that later calls are exchangeable with it.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from limbeck.errors import DataError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.signals import SIGNALS
from limbeck.types import TRUST, OutcomeSource, Policy, content_hash

CANDIDATES = 60


def fit_policy(answers: Answers, max_risk: float, confidence: float, *, seed: int = 0) -> Policy:
    """The policy for one student; `threshold` is None where no threshold keeps the promise.

    `max_risk` is α and `confidence` is 1 − δ, both in (0, 1). A reply that is not in the task's form
    always goes to the teacher, so it takes no part. Raises `DataError` on fewer than 40 replies.
    """
    if not (0 < max_risk < 1 and 0 < confidence < 1):
        raise DataError(
            f"max risk {max_risk!r} and confidence {confidence!r} must lie between 0 and 1"
        )
    usable = np.array([said is not None for said in answers.said], dtype=np.bool_)
    n = len(answers.right)
    if n < 40:
        raise DataError(
            f"the calibration split has {n} examples, and a promise needs hundreds; raise "
            "[splits] calibration in the task file and curate again"
        )
    half = np.random.default_rng(seed).permutation(n) < n // 2
    fit, bound = half & usable, ~half & usable
    model = _Logistic(answers.signals[fit], answers.right[fit])
    p_fit, p_bound = model(answers.signals[fit]), model(answers.signals[bound])
    right = answers.right[bound]
    chosen, kept, errors, p_value = learn_then_test(
        p_fit, answers.right[fit], p_bound, right, max_risk, 1 - confidence
    )
    return Policy(
        task=answers.card.task.name,
        student=answers.card.id,
        skeleton=answers.card.skeleton,
        max_risk=max_risk,
        confidence=confidence,
        signals=tuple(SIGNALS),
        center=tuple(model.center.tolist()),
        scale=tuple(model.scale.tolist()),
        weights=tuple(model.weights.tolist()),
        bias=model.bias,
        threshold=chosen,
        truth_source=_least_trusted(answers),
        n_fit=int(fit.sum()),
        n_bound=int(bound.sum()),
        n_accepted=kept,
        n_errors=errors,
        p_value=p_value,
        calibration_hash=content_hash(
            {"ids": [e.trace_id for e in answers.examples], "right": answers.right.tolist()}
        ),
    )


def learn_then_test(
    fit: NDArray[np.float64],
    fit_right: NDArray[np.bool_],
    bound: NDArray[np.float64],
    right: NDArray[np.bool_],
    max_risk: float,
    delta: float,
) -> tuple[float | None, int, int, float | None]:
    """Fixed-sequence testing towards larger coverage: (threshold, kept, errors, p-value).

    `fit` and `fit_right` choose the candidates and where the sequence begins, `bound` and `right`
    test them, so what is tested never depends on what tests it. It begins where the first half gives
    the smallest p-value. Beginning with the surest calls instead would end most runs at once: few
    calls prove nothing (n < ln δ / ln(1 − α) not even without an error), and one error among them is
    a failure, after which nothing more may be tested.
    """
    enough = math.ceil(math.log(delta) / math.log(1 - max_risk))
    shares = np.linspace(min(1.0, enough / max(1, len(fit))), 1.0, CANDIDATES)
    candidates = np.unique(np.quantile(fit, 1 - shares))[::-1] if len(fit) else np.array([])
    begin = int(np.argmin(_tails(fit, fit_right, candidates, max_risk)[2])) if len(fit) else 0
    best: tuple[float | None, int, int, float | None] = (None, 0, 0, None)
    tested = zip(*_tails(bound, right, candidates[begin:], max_risk), strict=True)
    for threshold, (kept, errors, p_value) in zip(candidates[begin:].tolist(), tested, strict=True):
        if p_value > delta:
            return best if best[0] is not None else (None, kept, errors, p_value)
        best = (threshold, kept, errors, p_value)
    return best


def _tails(
    score: NDArray[np.float64],
    right: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    max_risk: float,
) -> tuple[list[int], list[int], list[float]]:
    """At each threshold the calls kept, the errors among them, and P(Bin(kept, α) ≤ errors)."""
    accepted = score >= thresholds[:, None]  # (thresholds, N)
    kept, errors = accepted.sum(axis=1), (accepted & ~right).sum(axis=1)
    # No calls show nothing: the tail of an empty count is 1.
    tail = np.where(kept > 0, stats.binom.cdf(errors, np.maximum(kept, 1), max_risk), 1.0)
    return kept.tolist(), errors.tolist(), tail.tolist()


def confidence_of(policy: Policy, signals: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(answer is right) for signals (N, K), as the policy's logistic model has it."""
    z = (signals - np.array(policy.center)) / np.array(policy.scale)
    return _sigmoid(z @ np.array(policy.weights) + policy.bias)


def more_calls_needed(policy: Policy) -> int | None:
    """About how many more labelled calls would let the tested threshold pass, if its error rate
    stayed; None where that rate is above the promised risk, or where no answer was in the task's
    form, so that no number would."""
    if policy.threshold is not None:
        return 0
    if not policy.n_bound:
        return None
    rate = policy.n_errors / policy.n_accepted if policy.n_accepted else 0.0
    if rate >= policy.max_risk:
        return None
    share = max(policy.n_accepted / policy.n_bound, 0.02) if policy.n_bound else 0.5
    for kept in range(max(policy.n_accepted, 1), 200_000, 5):
        if stats.binom.cdf(math.ceil(rate * kept), kept, policy.max_risk) <= 1 - policy.confidence:
            return max(0, math.ceil(2 * kept / share) - policy.n_bound - policy.n_fit)
    return None


class _Logistic:
    """Logistic regression on standardized signals; a constant where only one class was seen."""

    def __init__(self, signals: NDArray[np.float64], right: NDArray[np.bool_]) -> None:
        from sklearn.linear_model import LogisticRegression

        self.center = signals.mean(axis=0) if len(signals) else np.zeros(len(SIGNALS))
        spread = signals.std(axis=0) if len(signals) else np.ones(len(SIGNALS))
        self.scale = np.where(spread > 1e-9, spread, 1.0)
        if len(np.unique(right)) < 2:
            # Nothing to tell apart: rank by the answer's weakest token alone.
            self.weights = np.array([1.0] + [0.0] * (len(SIGNALS) - 1))
            self.bias = 0.0
            return
        model = LogisticRegression(C=1.0, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit((signals - self.center) / self.scale, right)
        self.weights = model.coef_[0].astype(np.float64)
        self.bias = float(model.intercept_[0])

    def __call__(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        return _sigmoid(((signals - self.center) / self.scale) @ self.weights + self.bias)


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped: NDArray[np.float64] = np.clip(z, -35, 35)
    return np.asarray(1 / (1 + np.exp(-clipped)), dtype=np.float64)


def _least_trusted(answers: Answers) -> OutcomeSource:
    """The promise is worded by the weakest kind of truth among the calibration data."""
    return min((example.truth_source for example in answers.examples), key=lambda s: TRUST[s])

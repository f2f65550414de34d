"""The rule that turns signals into P(answer is right), fitted on one part of the calibration split."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.rule import added_up, sigmoid
from limbeck.types import Steps

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FOLDS = 5
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
ENOUGH_FOR_KNOTS = 200
"""Replies from which on the probabilities are corrected by isotonic regression."""
ENOUGH_FOR_STEPS = 400
RARE_FOR_STEPS = 30
"""Replies, and among them right and wrong ones, from which on a boosted rule is tried."""


@dataclass(frozen=True)
class Score:
    """A fitted rule; the fields are those of a policy."""

    kind: Literal["logistic", "boosted"]
    center: Floats
    scale: Floats
    weights: Floats
    bias: float
    steps: tuple[Steps, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()

    def raw(self, signals: Floats) -> Floats:
        """The score before it is calibrated, (N, K) to (N,)."""
        if self.kind == "boosted":
            return sigmoid(self.bias + added_up(self.steps, signals))
        return sigmoid(((signals - self.center) / self.scale) @ self.weights + self.bias)


def fit_score(signals: Floats, right: Bools, *, seed: int = 0) -> Score:
    """Logistic regression, or boosted steps where they predict surely better, then isotonic regression.

    Both choices are made on replies that the fit in question did not see (five folds).
    """
    rare = min(int(right.sum()), int((~right).sum()))
    plain = fit_logistic(signals, right)
    if rare < FOLDS:
        return plain
    out = out_of_fold(signals, right, fit_logistic, seed=seed)
    chosen = plain
    if len(right) >= ENOUGH_FOR_STEPS and rare >= RARE_FOR_STEPS:
        other = out_of_fold(signals, right, fit_boosted, seed=seed)
        gain = log_loss(out, right) - log_loss(other, right)
        if gain.mean() > gain.std() / np.sqrt(len(gain)):
            out, chosen = other, fit_boosted(signals, right)
    if len(right) < ENOUGH_FOR_KNOTS:
        return chosen
    return Score(**{**vars(chosen), "knots": fit_knots(out, right)})


def fit_logistic(signals: Floats, right: Bools, *, strength: float | None = None) -> Score:
    """On standardized signals; where only one class was seen, the first signal alone ranks.

    `strength` is how freely the weights may follow the replies; without one it is chosen.
    """
    from sklearn.linear_model import LogisticRegression

    width = signals.shape[1]
    center = signals.mean(axis=0) if len(signals) else np.zeros(width)
    spread = signals.std(axis=0) if len(signals) else np.ones(width)
    scale = np.where(spread > 1e-9, spread, 1.0)
    if len(np.unique(right)) < 2:
        return Score("logistic", center, scale, np.array([1.0] + [0.0] * (width - 1)), 0.0)
    standard = (signals - center) / scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = _strength(standard, right) if strength is None else strength
        model = LogisticRegression(C=chosen, max_iter=1000).fit(standard, right)
    weights = model.coef_[0].astype(np.float64)
    return Score("logistic", center, scale, weights, float(model.intercept_[0]))


def chosen_strength(signals: Floats, right: Bools) -> float:
    """The strength that `fit_logistic` would choose."""
    scale = signals.std(axis=0)
    standard = (signals - signals.mean(axis=0)) / np.where(scale > 1e-9, scale, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _strength(standard, right)


def _strength(standard: Floats, right: Bools) -> float:
    """How freely the weights may follow the replies (the inverse of the penalty), chosen by the
    likelihood of replies that a fit did not see: with few wrong ones, many signals mislead."""
    from sklearn.linear_model import LogisticRegressionCV

    if min(int(right.sum()), int((~right).sum())) < FOLDS:
        return STRENGTHS[0]
    model = LogisticRegressionCV(
        Cs=list(STRENGTHS), cv=FOLDS, scoring="neg_log_loss", max_iter=1000
    ).fit(standard, right)
    return float(np.ravel(model.C_)[0])


def fit_boosted(signals: Floats, right: Bools) -> Score:
    """Boosted trees of one split each (Friedman 2001): what they add up to is a step function of each
    signal, which a policy can carry."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        max_depth=1, n_estimators=60, learning_rate=0.2, subsample=0.8, random_state=0
    )
    model.fit(signals, right)
    jumps: list[dict[float, float]] = [{} for _ in range(signals.shape[1])]
    share = float(right.mean())
    bias = float(np.log(share / (1 - share)))
    for [regressor] in model.estimators_:
        tree = regressor.tree_
        leaf = model.learning_rate * tree.value[:, 0, 0]
        if tree.node_count == 1:
            bias += float(leaf[0])
            continue
        low, high = float(leaf[tree.children_left[0]]), float(leaf[tree.children_right[0]])
        bias += low
        jump = jumps[int(tree.feature[0])]
        cut = float(tree.threshold[0])
        jump[cut] = jump.get(cut, 0.0) + high - low
    none = np.array([])
    return Score("boosted", none, none, none, bias, tuple(_steps(jump) for jump in jumps))


def _steps(jumps: dict[float, float]) -> Steps:
    cuts = sorted(jumps)
    values = np.concatenate([[0.0], np.cumsum([jumps[cut] for cut in cuts])])
    return Steps(cuts=tuple(cuts), values=tuple(values.tolist()))


def fit_knots(score: Floats, right: Bools) -> tuple[tuple[float, float], ...]:
    """Isotonic regression of being right on the score, as the corners of a line."""
    from sklearn.isotonic import IsotonicRegression

    # No share of a finite sample shows a certainty.
    least = 1 / (len(right) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    model.fit(score, right.astype(np.float64))
    return tuple(zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True))


def out_of_fold(
    signals: Floats, right: Bools, fit: Callable[[Floats, Bools], Score], *, seed: int
) -> Floats:
    """The raw score of each reply by a rule that was fitted without its fold, (N,)."""
    fold = np.random.default_rng(seed).permutation(len(right)) % FOLDS
    score = np.empty(len(right))
    for one in range(FOLDS):
        score[fold == one] = fit(signals[fold != one], right[fold != one]).raw(signals[fold == one])
    return score


def log_loss(score: Floats, right: Bools) -> Floats:
    """Nats of each reply, (N,)."""
    clipped = np.clip(score, 1e-9, 1 - 1e-9)
    return np.asarray(-np.log(np.where(right, clipped, 1 - clipped)), dtype=np.float64)

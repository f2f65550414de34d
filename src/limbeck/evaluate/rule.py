"""How a policy decides: from signals to a probability, and which threshold is asked of it.

Nothing here fits anything, and nothing here needs more than numpy: the gateway decides with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from limbeck.types import Policy, Steps

Floats = NDArray[np.float64]

TIE = 0.01
"""Share of the raw score in a calibrated probability: isotonic regression is flat in places, and calls
that it cannot tell apart stay in the order of the score."""


def confidence_of(policy: Policy, signals: Floats) -> Floats:
    """P(answer is right) for signals (N, K), as the policy has it."""
    return calibrated(policy.knots, raw_score(policy, signals))


def raw_score(policy: Policy, signals: Floats) -> Floats:
    """The score before it is calibrated, (N,), between 0 and 1."""
    if policy.kind == "boosted":
        return sigmoid(policy.bias + added_up(policy.steps, signals))
    z = (signals - np.array(policy.center)) / np.array(policy.scale)
    return sigmoid(z @ np.array(policy.weights) + policy.bias)


def calibrated(knots: tuple[tuple[float, float], ...], score: Floats) -> Floats:
    """The probabilities that `knots` give to scores, growing wherever the score grows."""
    if not knots:
        return score
    x, y = np.array(knots).T
    straight: Floats = (1 - TIE) * np.interp(score, x, y) + TIE * score
    return straight


def added_up(steps: tuple[Steps, ...], signals: Floats) -> Floats:
    """The sum over the signals (N, K) of the value of the step that each lies on, (N,)."""
    total = np.zeros(len(signals))
    for part, column in zip(steps, signals.T, strict=True):
        total += np.array(part.values)[np.searchsorted(np.array(part.cuts), column, side="left")]
    return total


def threshold_of(policy: Policy, answer: str | None, group: str | None = None) -> float | None:
    """The threshold for a call, by the student's answer or by the caller's group where the policy has
    groups; None sends it to the teacher."""
    if policy.threshold is None or policy.grouped_by is None:
        return policy.threshold
    name = answer if policy.grouped_by == "label" else group
    return next((rule.threshold for rule in policy.groups if rule.name == name), None)


def sigmoid(z: Floats) -> Floats:
    clipped: Floats = np.clip(z, -35, 35)
    return np.asarray(1 / (1 + np.exp(-clipped)), dtype=np.float64)

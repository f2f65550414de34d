"""A learning curve carried on: err(n) = c + a / n^b, with its uncertainty by the bootstrap over folds.

Source: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically" (the form); it holds
for one model family, here the linear one, and says nothing about a better one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.curate.assess.findings import Estimate, Needed
from limbeck.curate.assess.settings import AssessSettings

DRAWS = 400
FARTHEST = 20
"""A curve is carried no farther than so many times the labelled inputs that there are."""
_EXPONENTS = np.geomspace(0.05, 2.0, 60)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Power:
    """Fits of the inverse power law, one a draw: each (D,)."""

    c: Floats
    a: Floats
    b: Floats

    def error(self, n: float) -> Floats:
        """The error after `n` labelled inputs, by draw."""
        return np.clip(self.c + self.a * n**-self.b, 0.0, 1.0)

    def labelled(self, error: float) -> Floats:
        """The labelled inputs until `error` is reached, by draw; infinite where it never is."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            n = (self.a / (error - self.c)) ** (1 / self.b)
        # Where nothing is learned any more, the error is there from the start or never.
        return np.where(error > self.c, np.where(self.a > 0, n, 0.0), np.inf)


@dataclass(frozen=True)
class Beyond:
    """Where the curve leads, as `Baseline` shows it."""

    ceiling: Estimate
    doubling: Estimate
    flat_after: int | None
    needed: Needed | None
    missed: float | None


def fit_power(sizes: NDArray[np.int64], errors: Floats, weights: Floats | None = None) -> Power:
    """The least-squares fits to errors (D, K) at sizes (K,), with a, c >= 0.

    For each exponent of a grid the other two are a weighted linear regression in closed form. Without
    `weights` (D, K) the larger sizes weigh more, by the root of the size: their accuracy moves less.
    """
    n = sizes.astype(np.float64)
    w = np.broadcast_to(np.sqrt(n), errors.shape) if weights is None else weights
    w = w / w.sum(axis=1, keepdims=True)
    y_mean = (w * errors).sum(axis=1)
    best = np.full(len(errors), np.inf)
    found = np.zeros((3, len(errors)))
    for b in _EXPONENTS:
        x = n**-b
        x_mean = w @ x
        off = x - x_mean[:, None]
        spread = np.maximum((w * off**2).sum(axis=1), 1e-30)
        a = np.maximum((w * (errors - y_mean[:, None]) * off).sum(axis=1) / spread, 0.0)
        c = y_mean - a * x_mean
        through_zero = (w * errors) @ x / (w @ x**2)
        a, c = np.where(c < 0, through_zero, a), np.maximum(c, 0.0)
        loss = (w * (errors - c[:, None] - a[:, None] * x) ** 2).sum(axis=1)
        better = loss < best
        best = np.where(better, loss, best)
        found = np.where(better, np.stack([c, a, np.full(len(errors), b)]), found)
    return Power(*found)


def extrapolate(
    sizes: NDArray[np.int64],
    accuracies: Floats,
    labelled: int,
    target: float | None,
    settings: AssessSettings,
) -> Beyond:
    """Where the curve of `accuracies` (F folds, K sizes) leads beyond `labelled` inputs.

    A draw takes folds with replacement and weighs the sizes at random (the Bayesian bootstrap). A curve
    that is no power law is off by more than that: what it misses at its own last size is added to both
    ends of the intervals.
    """
    random = np.random.default_rng(settings.seed)
    folds = len(accuracies)
    picks = random.integers(0, folds, size=(DRAWS, folds))
    errors = 1.0 - accuracies
    mean = errors.mean(axis=0)[None]
    middle = fit_power(sizes, mean)
    weights = np.sqrt(sizes) * random.exponential(size=(DRAWS, len(sizes)))
    drawn = fit_power(sizes, errors[picks].mean(axis=1), weights)

    def gain(power: Power) -> Floats:
        return power.error(labelled) - power.error(2 * labelled)

    missed = _missed(sizes, mean)
    off = missed or 0.0
    return Beyond(
        ceiling=_estimate(1.0 - middle.c, 1.0 - drawn.c, off),
        doubling=_estimate(gain(middle), gain(drawn), off),
        flat_after=_flat_after(middle, settings.max_doubling_gain, labelled),
        needed=None if target is None else _needed(middle, drawn, target, labelled, off),
        missed=missed,
    )


def _missed(sizes: NDArray[np.int64], mean: Floats) -> float | None:
    """How far a curve fitted without the largest size misses the accuracy there."""
    if len(sizes) < 4:
        return None
    forecast = fit_power(sizes[:-1], mean[:, :-1]).error(float(sizes[-1]))
    return float(abs(forecast[0] - mean[0, -1]))


def _estimate(value: Floats, draws: Floats, off: float) -> Estimate:
    """A share with the interval of its draws, `off` wider at both ends."""
    low, high = np.quantile(draws, [0.025, 0.975])
    middle = float(value[0])
    return Estimate(
        value=middle,
        low=max(0.0, min(float(low), middle) - off),
        high=min(1.0, max(float(high), middle) + off),
    )


def _flat_after(power: Power, gain: float, labelled: int) -> int | None:
    """The labelled inputs after which twice as many gain at most `gain`; None if too far away."""
    a, b = float(power.a[0]), float(power.b[0])
    if gain <= 0 or a <= 0:
        return None if a > 0 else 0
    n = (a * (1 - 2**-b) / gain) ** (1 / b)
    return int(np.ceil(n)) if n <= FARTHEST * labelled else None


def _needed(middle: Power, drawn: Power, target: float, labelled: int, off: float) -> Needed:
    error = 1.0 - target
    low = np.quantile(drawn.labelled(error + off), 0.025, method="inverted_cdf")
    high = np.quantile(drawn.labelled(error - off), 0.975, method="inverted_cdf")

    def more(n: float) -> int | None:
        return int(max(0.0, np.ceil(n - labelled))) if n <= FARTHEST * labelled else None

    return Needed(
        accuracy=target,
        more=more(float(middle.labelled(error)[0])),
        low=more(float(low)),
        high=more(float(high)),
        reached=float((drawn.labelled(error) <= FARTHEST * labelled).mean()),
    )

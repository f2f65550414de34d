"""Students of which everything is known: 100,000 calls each, of which calibration sets are drawn.

Draws are with replacement, so that the error rate of any threshold on calls to come is counted, not
estimated. `probability` is the student's own word for how sure it is, as a fixed threshold would use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIZE = 100_000


@dataclass(frozen=True)
class World:
    """One student on one task."""

    what: str
    signals: Floats  # (N, K)
    right: Bools  # (N,)
    probability: Floats  # (N,)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-z)))


def _drawn(what: str, chance: Floats, signals: list[Floats], probability: Floats) -> World:
    right = np.random.default_rng(99).random(len(chance)) < chance
    return World(what, np.stack(signals, axis=1), right, probability)


def _latent(seed: int) -> tuple[np.random.Generator, Floats]:
    random = np.random.default_rng(seed)
    return random, random.normal(size=SIZE)


def telling() -> World:
    """Right in 90 %, and its own probability says well where."""
    random, z = _latent(1)
    chance = _sigmoid(3.5 + 2.2 * z)
    signals = [z, z + random.normal(size=SIZE), random.normal(size=SIZE)]
    return _drawn("right in 90 %, and its signals say where", chance, signals, chance)


def blurred() -> World:
    """Right in 90 %; its signals say little of where."""
    random, z = _latent(2)
    chance = _sigmoid(2.8 + 1.6 * z)
    signals = [z + 1.5 * random.normal(size=SIZE) for _ in range(3)]
    return _drawn(
        "right in 90 %, and its signals are blurred", chance, signals, _sigmoid(signals[0])
    )


def boastful() -> World:
    """Badly calibrated: it is 99 % sure of nearly everything, and right in 85 %."""
    random, z = _latent(3)
    chance = _sigmoid(2.6 + 2.0 * z)
    signals = [z, random.normal(size=SIZE)]
    return _drawn("99 % sure of nearly everything", chance, signals, _sigmoid(6 + z))


def timid() -> World:
    """Badly calibrated the other way: right in 96 %, and half sure."""
    random, z = _latent(4)
    chance = _sigmoid(4.4 + 1.6 * z)
    signals = [z, random.normal(size=SIZE)]
    return _drawn("right in 96 %, and half sure", chance, signals, _sigmoid(0.3 * z))


def noise() -> World:
    """Adversarial: no signal tells anything, and it errs a hair more often than is promised."""
    random, z = _latent(5)
    wrong = np.zeros(SIZE, dtype=np.bool_)
    wrong[: round(0.0502 * SIZE)] = True
    probability = _sigmoid(3 + z)
    signals = np.stack([z, random.normal(size=SIZE)], axis=1)
    return World(
        "a hair above the risk, signals of noise", signals, ~random.permutation(wrong), probability
    )


def reversed_() -> World:
    """Adversarial: the surer it is, the more often it is wrong."""
    random, z = _latent(6)
    chance = _sigmoid(2.5 - 2.0 * z)
    signals = [z, random.normal(size=SIZE)]
    return _drawn("the surer, the more often wrong", chance, signals, _sigmoid(3 + 1.5 * z))


def pocket() -> World:
    """Adversarial: a tenth of the calls, among its surest ones, are wrong in 30 %."""
    random, z = _latent(7)
    sure = (z > 0.9) & (random.random(SIZE) < 0.5)
    chance = np.where(sure, 0.7, _sigmoid(4.0 + 1.5 * z))
    signals = [z, random.normal(size=SIZE)]
    return _drawn("a pocket of errors among its surest calls", chance, signals, _sigmoid(3.5 + z))


def hopeless() -> World:
    """Wrong in 40 %, and no signal tells where."""
    random, z = _latent(8)
    chance = np.full(SIZE, 0.6)
    signals = [z, random.normal(size=SIZE)]
    return _drawn("wrong in 40 %, without a sign", chance, signals, _sigmoid(3 + z))


def refunds() -> World:
    """A linear student that learned 500 calls of the simulated task `refunds`."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    from limbeck.capture.sandbox.tasks import load
    from limbeck.evaluate.signals.novelty import Novelty

    items = load("refunds").generate(20_500, seed=11)
    texts = [item.input for item in items]
    truth = np.array([item.truth for item in items])
    words = CountVectorizer(ngram_range=(1, 2), min_df=2).fit(texts[:500])
    student = LogisticRegression(max_iter=500, C=1.0).fit(words.transform(texts[:500]), truth[:500])
    novelty = Novelty.fit(texts[:500])
    return _classified(
        "a linear student of the simulated task refunds",
        student.predict_proba(words.transform(texts[500:])),
        student.classes_,
        truth[500:],
        np.array([novelty(text) for text in texts[500:]]),
    )


def digits() -> World:
    """A forest that learned 300 of the handwritten digits that scikit-learn ships."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    data = load_digits()
    order = np.random.default_rng(12).permutation(len(data.target))
    pixels, truth = data.data[order], data.target[order]
    student = RandomForestClassifier(60, random_state=0).fit(pixels[:300], truth[:300])
    ink = pixels[300:].sum(axis=1)
    return _classified(
        "a forest of 300 handwritten digits",
        student.predict_proba(pixels[300:]),
        student.classes_,
        truth[300:],
        ink,
    )


def _classified(
    what: str,
    chances: Floats,
    labels: NDArray[np.generic],
    truth: NDArray[np.generic],
    last: Floats,
) -> World:
    ordered = np.sort(chances, axis=1)
    top, second = np.clip(ordered[:, -1], 1e-6, 1), np.clip(ordered[:, -2], 1e-6, 1)
    signals = np.stack([np.log(top), np.log(top / second), last], axis=1)
    return World(what, signals, labels[chances.argmax(axis=1)] == truth, top)


WORLDS: dict[str, Callable[[], World]] = {
    "telling": telling,
    "blurred": blurred,
    "boastful": boastful,
    "timid": timid,
    "noise": noise,
    "reversed": reversed_,
    "pocket": pocket,
    "hopeless": hopeless,
    "refunds": refunds,
    "digits": digits,
}

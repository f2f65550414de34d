"""Are the inputs still like those that the policy was fitted on? Whatever is found here only warns:
that the student has become worse, the audits alone may say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from limbeck.curate.assess.chance import chance_index, stability_index
from limbeck.monitor.intake import Calls
from limbeck.monitor.settings import MonitorSettings
from limbeck.types import Noun, Policy

Floats = NDArray[np.float64]

TENTHS = 10
FEWEST = 50
"""Inputs on either side below which nothing is said."""
DIMENSIONS = 32
PERMUTATIONS = 300


class Drift(Noun):
    """One comparison of the last days with the reference. `limit` is what `value` must pass to warn,
    for a `p-value` from above and for the others from below."""

    what: str
    measure: str
    value: float
    limit: float
    warns: bool


@dataclass(frozen=True)
class Reference:
    """What inputs were like: those that the student learned from, or the first ones of the policy."""

    inputs: list[str]
    answers: list[str]
    """Empty where the answers of the task are no labels."""


def find_drift(
    recent: Calls, reference: Reference, policy: Policy, settings: MonitorSettings
) -> list[Drift]:
    """Label mix, length, escalation and the inputs themselves; what has too few calls is left out."""
    asked = recent.asked
    found = []
    if reference.answers:
        now = asked["answer"].drop_nulls().to_list()
        found += _index("label mix", *_by_label(reference.answers, now), settings)
    before = np.array([len(text.split()) for text in reference.inputs])
    if len(before):
        found += _index("length", *_by_tenth(before, asked["words"].to_numpy()), settings)
    found += _escalation(asked, policy, settings)
    texts = [text for _, text in recent.texts]
    if min(len(texts), len(reference.inputs)) >= FEWEST:
        p = inputs_differ(_some(reference.inputs, settings.sampled), _some(texts, settings.sampled))
        limit = settings.drift_p
        found.append(
            Drift(what="inputs", measure="p-value (MMD)", value=p, limit=limit, warns=p < limit)
        )
    return found


def _index(
    what: str, before: NDArray[np.int64], now: NDArray[np.int64], settings: MonitorSettings
) -> list[Drift]:
    if min(before.sum(), now.sum()) < FEWEST:
        return []
    cells = int(((before + now) > 0).sum())
    by_chance = chance_index(int(before.sum()), int(now.sum()), cells)
    limit = max(settings.drift_psi, by_chance) if np.isfinite(by_chance) else settings.drift_psi
    value = stability_index(before, now)
    return [Drift(what=what, measure="PSI", value=value, limit=limit, warns=value > limit)]


def _by_label(
    before: Sequence[str], now: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    old, new = Counter(before), Counter(now)
    labels = sorted(old | new)
    return np.array([old[one] for one in labels]), np.array([new[one] for one in labels])


def _by_tenth(
    before: NDArray[np.int64], now: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    edges = np.unique(np.quantile(before, np.arange(1, TENTHS) / TENTHS))
    cells = len(edges) + 1
    old, new = (np.searchsorted(edges, side, side="right") for side in (before, now))
    return np.bincount(old, minlength=cells), np.bincount(new, minlength=cells)


def _escalation(asked: pl.DataFrame, policy: Policy, settings: MonitorSettings) -> list[Drift]:
    """The share of calls that went to the teacher, against what the calibration calls let expect."""
    decided = asked.filter(pl.col("answer").is_not_null())
    n = decided.height
    if n < FEWEST or policy.n_bound < FEWEST:
        return []
    now, before = 1 - decided["local"].to_numpy().mean(), 1 - policy.n_accepted / policy.n_bound
    pooled = (now * n + before * policy.n_bound) / (n + policy.n_bound)
    spread = np.sqrt(max(pooled * (1 - pooled), 1e-9) * (1 / n + 1 / policy.n_bound))
    change = abs(now - before)
    limit = max(settings.escalation_change, float(stats.norm.ppf(0.995)) * float(spread))
    found = Drift(
        what="escalation",
        measure="change of the share",
        value=float(now - before),
        limit=limit,
        warns=bool(change > limit),
    )
    return [found]


def inputs_differ(before: Sequence[str], now: Sequence[str], *, seed: int = 0) -> float:
    """P-value that two samples of texts come from one distribution.

    The maximum mean discrepancy (Gretton et al. 2012) with a Gaussian kernel of median width on 32
    principal components of TF-IDF vectors, against random divisions of the two samples together.
    """
    features = _components([*before, *now], seed)
    n, m = len(before), len(now)
    squared = ((features[:, None, :] - features[None, :, :]) ** 2).sum(axis=-1)
    positive = squared[squared > 0]
    width = float(np.median(positive)) if len(positive) else 1.0
    kernel = np.exp(-squared / width)
    np.fill_diagonal(kernel, 0.0)
    side = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    random = np.random.default_rng(seed)
    shuffled = np.stack([side, *(random.permutation(side) for _ in range(PERMUTATIONS))], axis=1)
    found = np.einsum("ik,ik->k", shuffled, kernel @ shuffled)  # (1 + permutations,)
    return float((1 + (found[1:] >= found[0] - 1e-12).sum()) / (1 + PERMUTATIONS))


def _components(texts: Sequence[str], seed: int) -> Floats:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        weighed = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    except ValueError:
        # No word stands in two texts: there is nothing to compare but that.
        return np.zeros((len(texts), 1))
    rank = min(DIMENSIONS, min(weighed.shape) - 1)
    if rank < 1:
        return np.asarray(weighed.toarray(), dtype=np.float64)
    found = TruncatedSVD(rank, random_state=seed, n_iter=3).fit_transform(weighed)
    return np.asarray(found, dtype=np.float64)


def _some(texts: Sequence[str], most: int) -> list[str]:
    if len(texts) <= most:
        return list(texts)
    chosen = np.random.default_rng(0).choice(len(texts), most, replace=False)
    return [texts[at] for at in sorted(chosen.tolist())]

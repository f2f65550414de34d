"""How much each signal tells of whether an answer is right, alone and beside the others."""

from __future__ import annotations

from functools import partial

import numpy as np

from limbeck.evaluate.calibrate import Halves
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.score import (
    FOLDS,
    Floats,
    chosen_strength,
    fit_logistic,
    log_loss,
    out_of_fold,
)
from limbeck.types import Noun


class SignalWorth(Noun):
    """One signal on the replies that fitted the rule.

    `alone` is the chance that it ranks a right answer above a wrong one (AUROC; below 0.5 the other way
    round). `adds` is what the rule loses without it, in nats of log loss for a reply, measured on folds
    that did not fit it; an `interval` around 0 says that it adds nothing that can be seen.
    """

    signal: str
    alone: float
    adds: float
    interval: Interval


def worth_of(names: tuple[str, ...], signals: Floats, halves: Halves) -> list[SignalWorth]:
    """In the order of `names`, which name the columns of `signals` (N, K); nothing where too few
    replies were right or wrong to tell."""
    rows = halves.fit & halves.usable
    fitted, right = signals[rows], halves.judged.right[rows]
    if min(int(right.sum()), int((~right).sum())) < FOLDS:
        return []
    # Chosen once for all of them: what is compared then differs in its signals alone, and in its time
    # by what thirty fits more for each would take.
    fit = partial(fit_logistic, strength=chosen_strength(fitted, right))
    with_all = log_loss(out_of_fold(fitted, right, fit, seed=0), right)
    found = []
    for at, name in enumerate(names):
        others = np.delete(fitted, at, axis=1)
        if not others.shape[1]:
            others = np.zeros((len(right), 1))
        without = log_loss(out_of_fold(others, right, fit, seed=0), right)
        gain = without - with_all
        half = 1.96 * float(gain.std(ddof=1)) / np.sqrt(len(gain))
        adds = float(gain.mean())
        interval = Interval(low=adds - half, high=adds + half)
        alone = auroc(fitted[:, at], right)
        found.append(SignalWorth(signal=name, alone=alone, adds=adds, interval=interval))
    return found


def auroc(score: Floats, right: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """P(a right answer has the higher score) + half of P(they are equal); 0.5 where one kind lacks."""
    from scipy.stats import rankdata

    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if not n_right or not n_wrong:
        return 0.5
    ranks = rankdata(score)
    return float((ranks[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))

"""How much of the teacher's performance a student has, on the items where the teacher's is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from limbeck.curate.dataset import Dataset
from limbeck.evaluate.evaluate import Comparison
from limbeck.evaluate.intervals import Interval, mcnemar, paired_difference
from limbeck.types import Example, Noun

_DRAWS = 4000


class Recovered(Noun):
    """`share` is the student's accuracy over the teacher's. `beyond` is the same after that of always
    giving the commonest answer was taken from both; None where the teacher is no better than that.
    """

    n: int
    student: float
    teacher: float
    share: float
    interval: Interval
    beyond: float | None
    beyond_interval: Interval | None
    versus: Comparison


def teacher_right(dataset: Dataset, split: str, examples: list[Example]) -> NDArray[np.float64]:
    """1 where the teacher was right, 0 where it was wrong, NaN where nobody else knows, (N,)."""
    rows = dataset.rows(split)
    known = dict(zip(rows["trace_id"].to_list(), rows["teacher_correct"].to_list(), strict=True))
    said = [known.get(example.trace_id) for example in examples]
    return np.array([np.nan if one is None else float(one) for one in said])


def recovered(
    right: NDArray[np.bool_], teacher: NDArray[np.float64], commonest: NDArray[np.bool_]
) -> Recovered | None:
    """For a student (S, N), its teacher (N,) and the commonest answer (N,); None without a teacher."""
    known = ~np.isnan(teacher)
    if not known.any() or not teacher[known].any():
        return None
    mine = right[:, known].mean(axis=0)
    theirs, plain = teacher[known], commonest[known].astype(np.float64)
    n = len(theirs)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_DRAWS) / n
    a, b, c = counts @ mine, counts @ theirs, counts @ plain
    share = _quantiles(a / np.maximum(b, 1e-9))
    gap = float(theirs.mean() - plain.mean())
    beyond = gap > 0 and bool((b > c).mean() > 0.975)
    teacher_s = np.repeat(theirs[None].astype(bool), len(right), axis=0)
    interval = paired_difference(right[:, known], teacher_s)
    return Recovered(
        n=n,
        student=float(mine.mean()),
        teacher=float(theirs.mean()),
        share=float(mine.mean() / theirs.mean()),
        interval=share,
        beyond=float((mine.mean() - plain.mean()) / gap) if beyond else None,
        beyond_interval=_quantiles(((a - c) / np.maximum(b - c, 1e-9))[b > c]) if beyond else None,
        versus=Comparison(
            against="teacher",
            difference=float(mine.mean() - theirs.mean()),
            interval=interval,
            p_value=mcnemar(right[0, known].tolist(), theirs.astype(bool).tolist())
            if len(right) == 1
            else None,
            verdict="better"
            if interval.low > 0
            else "worse"
            if interval.high < 0
            else "no difference seen",
        ),
    )


def _quantiles(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(low=float(low), high=float(high))

"""How well a score that nobody fitted ranks wrong before right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

DROPPED = 0.1
_DRAWS = 500


def ranking(scores: npt.NDArray[np.float64], wrong: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """AUROC with its 95 % bootstrap interval, and precision where the highest 10 % are dropped.

    Ties are taken at their expectation: of rows with the same score as many are wrong as among all of
    them.
    """
    rng = np.random.default_rng(0)
    drawn = []
    if not 0 < wrong.sum() < wrong.size:
        return {}
    for _ in range(_DRAWS):
        rows = rng.integers(0, wrong.size, wrong.size)
        if 0 < wrong[rows].sum() < rows.size:
            drawn.append(roc_auc_score(wrong[rows], scores[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "auroc": round(float(roc_auc_score(wrong, scores)), 4),
        "auroc_95": [round(float(low), 4), round(float(high), 4)],
        "precision_at_10_percent_dropped": round(_precision(scores, wrong), 4),
    }


def _precision(scores: npt.NDArray[np.float64], wrong: npt.NDArray[np.bool_]) -> float:
    count = DROPPED * wrong.size
    limit = np.sort(scores)[::-1][int(np.ceil(count)) - 1]
    above, tied = scores > limit, scores == limit
    return float((wrong[above].sum() + wrong[tied].mean() * (count - above.sum())) / count)

"""Where a student is better or worse than elsewhere: length, template, time, kind of reasoning.

A slice is called different from the rest only where Fisher's exact test says so at 5 % for all
slices of the student together (Holm): among thirty slices one or two always look bad by luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from limbeck.curate.chain import sentences, words
from limbeck.curate.equations import equations
from limbeck.evaluate.intervals import Interval, holm, mean_interval, paired_difference
from limbeck.types import Example, Noun

FEWEST = 10
"""A slice of fewer items is not shown by itself."""
MOST_GROUPS = 12


class Slice(Noun):
    """`n` items of one kind. `difference` is against the control on the same items.

    `apart` is whether its accuracy differs from that of all other items beyond luck.
    """

    by: str
    name: str
    n: int
    accuracy: float
    interval: Interval
    apart: bool
    control: float | None = None
    difference: Interval | None = None


Names = Mapping[str, Sequence[str | None]]
"""For each way of slicing, the slice of each item; None belongs to no slice."""


def slice_names(
    examples: Sequence[Example],
    rationales: Sequence[str | None],
    times: Mapping[str, datetime] | None = None,
) -> dict[str, list[str | None]]:
    """The ways in which these items can be sliced, with each item's slice.

    `rationales` are the teacher's: what it took to get the answer, not what a student wrote.
    """
    found = {
        "length": _quarters([len(words(example.input)) for example in examples]),
        "template": _groups([example.group for example in examples]),
        "reasoning": [_reasoning(text) for text in rationales],
        "steps": [_steps(text) for text in rationales],
        "time": _periods([(times or {}).get(example.trace_id) for example in examples]),
    }
    return {by: names for by, names in found.items() if len(_large(names)) > 1}


def slices(
    names: Names, right: NDArray[np.bool_], control: NDArray[np.bool_] | None
) -> tuple[Slice, ...]:
    """Every slice of at least FEWEST items, over (S, N) seeds and items; the test is on seed one."""
    found: list[Slice] = []
    p_values: list[float] = []
    for by, of in names.items():
        for name in _large(of):
            inside = np.array([one == name for one in of])
            found.append(_slice(by, name, inside, right, control))
            a, b = right[0][inside], right[0][~inside]
            table = [[int(a.sum()), int((~a).sum())], [int(b.sum()), int((~b).sum())]]
            p_values.append(float(stats.fisher_exact(table)[1]))
    return tuple(
        one.model_copy(update={"apart": apart})
        for one, apart in zip(found, holm(p_values), strict=True)
    )


def _slice(
    by: str,
    name: str,
    inside: NDArray[np.bool_],
    right: NDArray[np.bool_],
    control: NDArray[np.bool_] | None,
) -> Slice:
    own = right[:, inside]
    paired = None
    if control is not None:
        seeds = min(len(own), len(control))
        paired = paired_difference(own[:seeds], control[:seeds, inside], draws=1000)
    return Slice(
        by=by,
        name=name,
        n=int(inside.sum()),
        accuracy=float(own.mean()),
        interval=mean_interval(own, draws=1000),
        apart=False,
        control=float(control[:, inside].mean()) if control is not None else None,
        difference=paired,
    )


def _large(names: Sequence[str | None]) -> list[str]:
    counts = Counter(name for name in names if name is not None)
    return sorted((name for name, n in counts.items() if n >= FEWEST), key=_in_order)


def _in_order(name: str) -> tuple[int, str]:
    digits = name.split(" ", 1)[0].split("–", 1)[0].rstrip("+")
    return (int(digits), name) if digits.isdigit() else (10**9, name)


def _quarters(sizes: Sequence[int]) -> list[str | None]:
    edges: NDArray[np.int_] = np.unique(np.quantile(sizes, [0.25, 0.5, 0.75]).astype(int))
    place = np.searchsorted(edges, sizes, side="left")
    names: list[str | None] = [None] * len(sizes)
    for quarter in np.unique(place):
        own = [size for size, at in zip(sizes, place, strict=True) if at == quarter]
        name = f"{min(own)}–{max(own)} words" if min(own) < max(own) else f"{own[0]} words"
        for at in np.flatnonzero(place == quarter):
            names[at] = name
    return names


def _groups(groups: Sequence[str | None]) -> list[str | None]:
    known = {g for g, _ in Counter(g for g in groups if g is not None).most_common(MOST_GROUPS)}
    return [None if g is None else g if g in known else "other templates" for g in groups]


def _reasoning(rationale: str | None) -> str | None:
    if not rationale:
        return None
    relations = {equation.relation for equation in equations(rationale)}
    if not relations:
        return "words only"
    if relations == {"="}:
        return "sums"
    return "sums and comparisons" if "=" in relations else "comparisons"


def _steps(rationale: str | None) -> str | None:
    if not rationale:
        return None
    count = len(sentences(rationale))
    for low, high in ((1, 2), (3, 4), (5, 8)):
        if count <= high:
            return f"{low}–{high} steps"
    return "9+ steps"


def _periods(times: Sequence[datetime | None]) -> list[str | None]:
    """Four periods with as many items each, named by their first day."""
    known = sorted(time for time in times if time is not None)
    if len({time.date() for time in known}) < 2:
        return [None] * len(times)
    starts = [known[len(known) * quarter // 4] for quarter in range(4)]
    return [
        None if time is None else f"from {max(s for s in starts if s <= time):%Y-%m-%d}"
        for time in times
    ]

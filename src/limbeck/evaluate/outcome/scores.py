"""Scores beyond right or wrong, by the kind of answer: classes, fields, distances."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluate.intervals import Interval, wilson
from limbeck.types import Example, Noun, Task
from limbeck.verify.json_value import same
from limbeck.verify.number import parse
from limbeck.verify.wording import fold

NOTHING = "(no answer in form)"
TOLERANCES = (0.0, 0.01, 0.05, 0.1)
"""Relative distances at which a number is called near."""
_DRAWS = 1000


class ClassScore(Noun):
    """One label: `right` of its `n` items were found, of `said` times that it was given."""

    label: str
    n: int
    right: int
    said: int
    recall: Interval


class ChoiceScores(Noun):
    """Macro-F1 is the mean F1 over the labels that occur, each counting the same."""

    macro_f1: float
    interval: Interval
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[str, str, int], ...]
    """(true label, given label, how often), the commonest first; right answers included."""


class FieldScore(Noun):
    """One field of a JSON answer: `right` of `n` items that have it in their truth."""

    field: str
    n: int
    right: int
    interval: Interval


class FieldScores(Noun):
    """`micro_f1` counts every (field, value) of every item once; `unreadable` answers are no JSON."""

    fields: tuple[FieldScore, ...]
    micro_f1: float
    unreadable: int


class Near(Noun):
    """How many numbers are within a relative distance of the truth."""

    within: float
    right: int
    interval: Interval


class NumberScores(Noun):
    """Distances are relative to the truth (absolute where it is 0), at most 1, and 1 without answer."""

    n: int
    near: tuple[Near, ...]
    distance: float
    interval: Interval


class KindScores(Noun):
    """What fits the task's kind of answer; the others are None."""

    choice: ChoiceScores | None = None
    fields: FieldScores | None = None
    number: NumberScores | None = None


def kind_scores(
    task: Task, examples: Sequence[Example], said: Sequence[Sequence[str | None]]
) -> KindScores:
    """Scores over (S, N) answers: S seeds on the same N items, pooled."""
    many = [example for _ in said for example in examples]
    flat = [one for answers in said for one in answers]
    if task.answer.kind == "choice":
        return KindScores(choice=choice_scores(many, flat))
    if task.answer.kind == "number":
        return KindScores(number=number_scores(many, flat))
    return KindScores(fields=field_scores(many, flat, task.answer.tolerance))


def choice_scores(examples: Sequence[Example], said: Sequence[str | None]) -> ChoiceScores | None:
    """None where the labels differ from call to call, so that there is no class to speak of."""
    if any(example.choices != examples[0].choices for example in examples) and (
        len({choice for example in examples for choice in example.choices}) > 100
    ):
        return None
    spelled = {fold(e.truth): e.truth for e in examples}
    truth = [spelled[fold(e.truth)] for e in examples]
    given = [NOTHING if one is None else spelled.get(fold(one), one) for one in said]
    labels = sorted(set(truth))
    actual = np.array([[t == label for label in labels] for t in truth], dtype=np.float64)
    claimed = np.array([[s == label for label in labels] for s in given], dtype=np.float64)
    n = len(truth)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_DRAWS)
    drawn = _macro_f1(counts.astype(np.float64), actual, claimed)
    low, high = np.quantile(drawn, [0.025, 0.975])
    confusion = Counter(zip(truth, given, strict=True))
    return ChoiceScores(
        macro_f1=float(_macro_f1(np.ones((1, n)), actual, claimed)[0]),
        interval=Interval(low=float(low), high=float(high)),
        classes=tuple(
            ClassScore(
                label=label,
                n=int(actual[:, at].sum()),
                right=confusion[label, label],
                said=int(claimed[:, at].sum()),
                recall=wilson(confusion[label, label], int(actual[:, at].sum())),
            )
            for at, label in enumerate(labels)
        ),
        confusion=tuple((a, b, count) for (a, b), count in confusion.most_common()),
    )


def _macro_f1(
    counts: NDArray[np.float64], actual: NDArray[np.float64], claimed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For weights of the items (D, N) and indicators (N, C): one macro-F1 a draw, (D,)."""
    both = counts @ (actual * claimed)  # (D, C)
    total = counts @ actual + counts @ claimed
    f1 = np.divide(2 * both, total, out=np.zeros_like(both), where=total > 0)
    there = counts @ actual > 0
    result: NDArray[np.float64] = (f1 * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return result


def number_scores(examples: Sequence[Example], said: Sequence[str | None]) -> NumberScores:
    distance = distances(examples, said)
    n = len(distance)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=_DRAWS)
    low, high = np.quantile(counts @ distance / n, [0.025, 0.975])
    near = [(within, int((distance <= within + 1e-12).sum())) for within in TOLERANCES]
    return NumberScores(
        n=n,
        near=tuple(Near(within=w, right=k, interval=wilson(k, n)) for w, k in near),
        distance=float(distance.mean()),
        interval=Interval(low=float(low), high=float(high)),
    )


def distances(examples: Sequence[Example], said: Sequence[str | None]) -> NDArray[np.float64]:
    """The relative distance of each number from its truth, (N,), at most 1."""
    found = np.ones(len(said))
    for at, (example, text) in enumerate(zip(examples, said, strict=True)):
        truth, got = parse(example.truth), None if text is None else parse(text)
        if truth is not None and got is not None:
            found[at] = min(1.0, float(abs(got - truth) / (abs(truth) or 1)))
    return found


def field_scores(
    examples: Sequence[Example], said: Sequence[str | None], tolerance: float = 0.0
) -> FieldScores | None:
    """None where the truths are no JSON objects. `tolerance` is that of numbers, absolute."""
    truths = [_object(example.truth) for example in examples]
    if not any(truths):
        return None
    there: Counter[str] = Counter()
    right: Counter[str] = Counter()
    claimed = unreadable = 0
    for truth, text in zip(truths, said, strict=True):
        got = _object(text) if text is not None else None
        unreadable += got is None
        claimed += len(got or {})
        for field, value in (truth or {}).items():
            there[field] += 1
            right[field] += got is not None and field in got and same(got[field], value, tolerance)
    wanted, both = sum(there.values()), sum(right.values())
    return FieldScores(
        fields=tuple(
            FieldScore(field=f, n=n, right=right[f], interval=wilson(right[f], n))
            for f, n in sorted(there.items())
        ),
        micro_f1=2 * both / (wanted + claimed) if wanted + claimed else 0.0,
        unreadable=unreadable,
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

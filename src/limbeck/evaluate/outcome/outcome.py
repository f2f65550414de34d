"""The outcome suite: students beside the control, the teacher and the commonest answer, in detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.evaluate import Comparison, Evaluation, compare, evaluate
from limbeck.evaluate.intervals import Interval, paired_means
from limbeck.evaluate.outcome.cost import Cost, teacher_cost
from limbeck.evaluate.outcome.recovered import Recovered, recovered, teacher_right
from limbeck.evaluate.outcome.scores import KindScores, distances, kind_scores
from limbeck.evaluate.outcome.slices import Slice, slice_names, slices
from limbeck.types import Noun, Trace


class Detail(Noun):
    """One arm in detail. `nearer` is how much smaller its distance from the truth is than the
    control's, for numbers: below zero is better."""

    recipe: str
    base: str
    scores: KindScores
    slices: tuple[Slice, ...]
    recovered: Recovered | None
    cost: Cost
    nearer: Interval | None = None


class OutcomeSuite(Noun):
    """`evaluation` is the comparison of all arms, `details` the same arms in the same order."""

    evaluation: Evaluation
    details: tuple[Detail, ...]
    teacher_cost: Cost | None
    pairs: tuple[tuple[str, Comparison], ...] = ()
    """What `--compare A B` asked for: the name of A, and A against B on the same items."""


def outcome_suite(
    dataset: Dataset,
    split: str,
    answers: Sequence[Answers],
    calls: Mapping[str, Trace] | None = None,
    pairs: Sequence[tuple[Answers, Answers]] = (),
    usd: Mapping[str, float | None] | None = None,
) -> OutcomeSuite:
    """All numbers of the suite. `calls` are the recorded calls of the items by trace id, as far as
    they are known; `usd` what asking each remote subject cost, by the name of its folder."""
    evaluation = evaluate(dataset, split, answers)
    examples = answers[0].examples
    rows = dataset.rows(split)
    chains = dict(zip(rows["trace_id"].to_list(), rows["rationale"].to_list(), strict=True))
    times = {
        trace_id: trace.created_at
        for trace_id, trace in (calls or {}).items()
        if trace.created_at is not None
    }
    names = slice_names(examples, [chains.get(e.trace_id) for e in examples], times)
    teacher = teacher_right(dataset, split, examples)
    commonest = _commonest(dataset, answers[0])
    groups = {
        (arm.recipe, arm.base): [
            one for one in answers if (one.card.recipe, one.card.base) == (arm.recipe, arm.base)
        ]
        for arm in evaluation.arms
    }
    details = []
    for (recipe, base), group in groups.items():
        control = groups.get((CONTROL, base)) if recipe != CONTROL else None
        right = np.stack([one.right for one in group])
        details.append(
            Detail(
                recipe=recipe,
                base=base,
                scores=kind_scores(dataset.task, examples, [one.said for one in group]),
                slices=slices(
                    names, right, np.stack([one.right for one in control]) if control else None
                ),
                recovered=recovered(right, teacher, commonest),
                cost=_cost(group, usd or {}),
                nearer=_nearer(dataset, group, control),
            )
        )
    return OutcomeSuite(
        evaluation=evaluation,
        details=tuple(details),
        teacher_cost=teacher_cost((calls or {}).values()),
        pairs=tuple(
            (a.folder.name, compare([a], [b], b.folder.name).model_copy()) for a, b in pairs
        ),
    )


def _commonest(dataset: Dataset, one: Answers) -> NDArray[np.bool_]:
    common = Counter(example.truth for example in dataset.split("train")).most_common(1)[0][0]
    return np.array([example.truth == common for example in one.examples], dtype=np.bool_)


def _cost(group: Sequence[Answers], usd: Mapping[str, float | None]) -> Cost:
    n = len(group[0].right)
    paid = [usd.get(one.folder.name, 0.0) for one in group]
    known = [one for one in paid if one is not None]
    return Cost(
        name=group[0].card.recipe,
        n=n,
        usd_per_thousand=1000 * sum(known) / (n * len(group)) if len(known) == len(paid) else None,
        seconds=float(np.mean([one.seconds for one in group])) / n,
        p95_seconds=None,
        tokens=float(np.mean([one.tokens.mean() for one in group])),
    )


def _nearer(
    dataset: Dataset, group: Sequence[Answers], control: Sequence[Answers] | None
) -> Interval | None:
    if dataset.task.answer.kind != "number" or not control:
        return None

    def mean(of: Sequence[Answers]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.stack(
            [distances(one.examples, one.said) for one in of]
        ).mean(axis=0)
        return found

    return paired_means(mean(group), mean(control))

"""Scores students by verified outcome, beside the label-only control and the teacher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import UsageError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.intervals import Interval, mcnemar, mean_interval, paired_difference, wilson
from limbeck.evaluate.subject import TEACHER, URL
from limbeck.types import Noun


class SeedScore(Noun):
    """One student."""

    student: str
    seed: int
    right: int
    n: int
    accuracy: float
    interval: Interval


class Comparison(Noun):
    """One arm against another on the same items: `difference` in share of items, positive is better.

    `p_value` is McNemar's exact test, for one seed each; over several seeds the interval decides.
    """

    against: str
    difference: float
    interval: Interval
    p_value: float | None
    verdict: str
    """`better`, `worse`, or `no difference seen`, by whether the interval excludes zero."""


class Arm(Noun):
    """All students of one recipe and base, over their seeds."""

    recipe: str
    base: str
    causal: bool
    parameters: int
    seeds: tuple[SeedScore, ...]
    accuracy: float
    interval: Interval
    unanswered: float
    """Share of items on which it gave no answer in the task's form."""
    tokens: float
    """Mean number of tokens it wrote for an item."""
    seconds: float
    """Mean time for an item in batches on this machine."""
    train_seconds: float
    steps: int
    versus_control: Comparison | None


class Evaluation(Noun):
    """Students of one dataset on one split."""

    task: str
    dataset: str
    split: str
    n: int
    train_examples: int
    truth_sources: dict[str, int]
    majority: float
    """Accuracy of always giving the commonest answer of the training split."""
    teacher: SeedScore | None
    arms: tuple[Arm, ...]
    simulated: bool
    findings: tuple[str, ...]
    """What the numbers show and what they do not, in plain sentences."""


def evaluate(dataset: Dataset, split: str, answers: Sequence[Answers]) -> Evaluation:
    """Groups students by recipe and base, and compares each group with the control of its base.

    Pairs by seed where both have the same seeds, else by order. Raises `UsageError` on no students.
    """
    if not answers:
        raise UsageError("no student to evaluate; name one: limbeck evaluate STUDENT")
    groups: dict[tuple[str, str], list[Answers]] = {}
    for one in sorted(answers, key=lambda a: (a.card.recipe != CONTROL, a.card.seed)):
        groups.setdefault((one.card.recipe, one.card.base), []).append(one)
    arms = tuple(
        _arm(group, groups.get((CONTROL, base)) if recipe != CONTROL else None)
        for (recipe, base), group in groups.items()
    )
    examples = answers[0].examples
    common = Counter(example.truth for example in dataset.split("train")).most_common(1)
    majority = (
        sum(example.truth == common[0][0] for example in examples) / len(examples)
        if common
        else 0.0
    )
    teacher = _teacher(dataset, split, {example.trace_id for example in examples})
    return Evaluation(
        task=dataset.task.name,
        dataset=dataset.hash,
        split=split,
        n=len(examples),
        train_examples=len(dataset.split("train")),
        truth_sources=dict(sorted(Counter(e.truth_source for e in examples).items())),
        majority=majority,
        teacher=teacher,
        arms=arms,
        simulated=dataset.simulated,
        findings=(
            *_findings(arms),
            *_beside_the_teacher(dataset, split, arms, groups, teacher),
        ),
    )


def _matrix(group: Sequence[Answers]) -> NDArray[np.bool_]:
    return np.stack([one.right for one in group])  # (S, N)


def _arm(group: list[Answers], control: list[Answers] | None) -> Arm:
    right = _matrix(group)
    card = group[0].card
    n = right.shape[1]
    return Arm(
        recipe=card.recipe,
        base=card.base,
        causal=card.ask.causal,
        parameters=card.parameters,
        seeds=tuple(_seed_score(one) for one in group),
        accuracy=float(right.mean()),
        interval=mean_interval(right),
        unanswered=sum(said is None for one in group for said in one.said) / (n * len(group)),
        tokens=float(np.mean([one.tokens.mean() for one in group])),
        seconds=float(np.mean([one.seconds / n for one in group])),
        train_seconds=float(np.mean([one.card.seconds for one in group])),
        steps=card.steps,
        versus_control=compare(group, control, CONTROL) if control else None,
    )


def compare(first: Sequence[Answers], second: Sequence[Answers], name: str) -> Comparison:
    """The paired difference of two groups of students, over the seeds that both have."""
    mine = {one.card.seed: one for one in first}
    theirs = {one.card.seed: one for one in second}
    shared = sorted(mine.keys() & theirs.keys())
    if shared:
        a, b = _matrix([mine[s] for s in shared]), _matrix([theirs[s] for s in shared])
    else:
        size = min(len(first), len(second))
        a, b = _matrix(first[:size]), _matrix(second[:size])
    interval = paired_difference(a, b)
    verdict = (
        "better" if interval.low > 0 else "worse" if interval.high < 0 else "no difference seen"
    )
    return Comparison(
        against=name,
        difference=float(a.mean() - b.mean()),
        interval=interval,
        p_value=mcnemar(a[0].tolist(), b[0].tolist()) if len(a) == 1 else None,
        verdict=verdict,
    )


def _seed_score(one: Answers) -> SeedScore:
    right, n = int(one.right.sum()), len(one.right)
    return SeedScore(
        student=one.folder.name,
        seed=one.card.seed,
        right=right,
        n=n,
        accuracy=right / n,
        interval=wilson(right, n),
    )


def _said_of_teacher(dataset: Dataset, split: str) -> dict[str, bool]:
    """Whether the teacher was right, by trace id, where somebody else knows."""
    rows = dataset.rows(split).drop_nulls("teacher_correct")
    return dict(zip(rows["trace_id"], map(bool, rows["teacher_correct"]), strict=True))


def _teacher(dataset: Dataset, split: str, asked: Collection[str]) -> SeedScore | None:
    known = _said_of_teacher(dataset, split)
    verdicts = [right for trace_id, right in known.items() if trace_id in asked]
    if not verdicts:
        return None
    return SeedScore(
        student="teacher",
        seed=0,
        right=sum(verdicts),
        n=len(verdicts),
        accuracy=sum(verdicts) / len(verdicts),
        interval=wilson(sum(verdicts), len(verdicts)),
    )


def _findings(arms: Sequence[Arm]) -> list[str]:
    found = []
    own = [arm for arm in arms if arm.recipe not in (TEACHER, URL)]
    for arm in own:
        versus = arm.versus_control
        if versus is None:
            continue
        points = f"{versus.difference * 100:+.1f} points"
        span = f"[{versus.interval.low * 100:+.1f}, {versus.interval.high * 100:+.1f}]"
        if versus.verdict == "better":
            text = f"Rationales helped here under {arm.recipe}: {points} over the label-only control {span}."
        elif versus.verdict == "worse":
            text = f"Rationales hurt here under {arm.recipe}: {points} against the label-only control {span}."
        else:
            text = (
                f"No difference seen between {arm.recipe} and the label-only control: {points} {span}. "
                "The control is simpler; prefer it unless more data says otherwise."
            )
        found.append(text)
    if own and all(arm.recipe != CONTROL for arm in own):
        found.append(
            "There is no label-only control here, so nothing can be said about rationales."
        )
    few = min((len(arm.seeds) for arm in own), default=3)
    if few < 3:
        found.append(
            f"{'One seed' if few == 1 else f'{few} seeds'} an arm: the intervals cover the choice of test "
            "items, not the luck of training; run at least three seeds before deciding."
        )
    return found


def _beside_the_teacher(
    dataset: Dataset,
    split: str,
    arms: Sequence[Arm],
    groups: Mapping[tuple[str, str], Sequence[Answers]],
    teacher: SeedScore | None,
) -> list[str]:
    """The best student against its teacher, on the items where the teacher's verdict is known."""
    students = [arm for arm in arms if arm.recipe != TEACHER]
    best = max(students, key=lambda arm: arm.accuracy, default=None)
    if best is None or teacher is None:
        return []
    group = groups[best.recipe, best.base]
    known = _said_of_teacher(dataset, split)
    rows = [at for at, one in enumerate(group[0].examples) if one.trace_id in known]
    mine = _matrix(group)[:, rows]
    theirs = np.array([known[group[0].examples[at].trace_id] for at in rows], dtype=np.bool_)
    gap = paired_difference(mine, np.repeat(theirs[None], len(mine), axis=0))
    relation = "above" if gap.low > 0 else "below" if gap.high < 0 else "level with"
    return [
        f"The best student ({best.recipe}, {best.accuracy:.1%}) is {relation} its teacher "
        f"({teacher.accuracy:.1%}): {(mine.mean() - theirs.mean()) * 100:+.1f} points "
        f"[{gap.low * 100:+.1f}, {gap.high * 100:+.1f}] on {teacher.n:,} of the same items."
    ]

"""The shifted suite: how far accuracy drops when the inputs change, and what a student overfits to.

Changes of the test items are paired: the same item before and after, so that the interval is about the
change and not about the items. Fresh items of a generator are other items, and compared as such.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.evaluate.intervals import (
    Interval,
    mcnemar,
    paired_difference,
    unpaired_difference,
    wilson,
)
from limbeck.evaluate.shifted.change import (
    CHANGES,
    ONLY,
    Changed,
    Solver,
    load_change,
    settled,
)
from limbeck.evaluate.shifted.generated import NEW_TEMPLATES, fresh, generator_of, solver_of
from limbeck.evaluate.shifted.question import without_question
from limbeck.evaluate.subject import Progress, Replies, Subject
from limbeck.types import Example, Noun

FEWEST = 20
"""Items below which a drop says nothing and is not shown."""
OWN = {
    "fresh": "New items of the same kind, which nobody has seen.",
    "unseen-wording": "The same facts in words that training never had.",
    "unseen-entities": "Names and things that training never had.",
    "one-more-step": "One step more than any item of the training.",
    "distractor": "One sentence more, which decides nothing.",
    "reordered": "The same sentences in another order.",
}


class Drop(Noun):
    """Accuracy `before` and `after` one change, over `n` items each.

    `drop` is after − before (negative is worse) with its interval; `paired` says whether the items are
    the same. `truth` counts how the right answers of the changed items are known.
    """

    name: str
    meaning: str
    n: int
    before: float
    after: float
    after_interval: Interval
    drop: float
    interval: Interval
    paired: bool
    p_value: float | None
    truth: dict[str, int] = Field(default_factory=dict)


class Guess(Noun):
    """Right answers to inputs whose question was taken out, beside the commonest answer's."""

    n: int
    accuracy: float
    interval: Interval
    commonest: float
    above: Interval
    """Interval of accuracy − commonest, paired."""
    guessing: bool


class Overfit(Noun):
    """Accuracy on seen templates with new content, minus accuracy on new templates."""

    seen: float
    new: float
    n_seen: int
    n_new: int
    index: float
    interval: Interval


class ShiftedSuite(Noun):
    student: str
    n: int
    before: float
    drops: tuple[Drop, ...]
    guess: Guess | None
    overfit: Overfit | None
    left_out: dict[str, int]
    """Changes that fit too few items to be shown, with how many they fit."""
    findings: tuple[str, ...]


def shifted_suite(
    subject: Subject,
    dataset: Dataset,
    examples: Sequence[Example],
    *,
    seed: int = 0,
    fresh_items: int = 300,
    paraphrase: Callable[[Sequence[Example]], list[Changed | None]] | None = None,
    progress: Progress | None = None,
) -> ShiftedSuite:
    """All shifts that apply to these items of the student's task."""
    base = subject.ask(examples, progress=progress)
    generator = generator_of(subject.card.task, examples)
    solver = solver_of(generator)
    drops, left_out = _changed(subject, base, solver, seed, paraphrase, progress)
    overfit = _by_groups(dataset, base)
    if generator is not None:
        seen = [*dataset.rows("train")["input"], *(e.input for e in examples)]
        plain = subject.ask(fresh(generator, fresh_items, seed, None, seen), progress=progress)
        own = {"fresh": plain}
        for shift in generator.shifts:
            items = fresh(generator, fresh_items, seed, shift, seen)
            own[shift] = subject.ask(items, progress=progress)
        drops += [_unpaired(f"generated: {name}", OWN[name], base, r) for name, r in own.items()]
        if NEW_TEMPLATES in own:
            overfit = _overfit(plain, own[NEW_TEMPLATES])
    if "shifted" in dataset.splits and (own_split := dataset.split("shifted")):
        meaning = "The items that were set aside as shifted."
        replies = subject.ask(own_split, progress=progress)
        drops.append(_unpaired("shifted split", meaning, base, replies))
    asked = [one for e in base.examples if (one := without_question(e)) is not None]
    guess = None
    if len(asked) >= FEWEST:
        guess = _guess(subject, dataset, asked, progress)
    else:
        left_out["without the question"] = len(asked)
    found = ShiftedSuite(
        student=subject.name,
        n=len(examples),
        before=base.accuracy,
        drops=tuple(drops),
        guess=guess,
        overfit=overfit,
        left_out=left_out,
        findings=(),
    )
    return found.model_copy(update={"findings": tuple(_findings(found))})


def _changed(
    subject: Subject,
    base: Replies,
    solver: Solver | None,
    seed: int,
    paraphrase: Callable[[Sequence[Example]], list[Changed | None]] | None,
    progress: Progress | None,
) -> tuple[list[Drop], dict[str, int]]:
    drops, left_out = [], {}
    kind = subject.card.task.answer.kind
    own = [name for name in CHANGES if ONLY.get(name, kind) == kind]
    for name in [*own, *(["paraphrased"] if paraphrase else [])]:
        if name == "paraphrased" and paraphrase is not None:
            meaning, made = "A teacher said the same in other words.", paraphrase(base.examples)
        else:
            module = load_change(name)
            meaning = module.MEANING
            made = [module.change(e, random.Random(f"{seed}/{e.trace_id}")) for e in base.examples]
        kept = [
            (at, done)
            for at, one in enumerate(made)
            if one is not None and (done := settled(one, solver)) is not None
        ]
        if len(kept) < FEWEST:
            left_out[name] = len(kept)
            continue
        replies = subject.ask([one.example for _, one in kept], progress=progress)
        places = [at for at, _ in kept]
        truth: Counter[str] = Counter(one.truth for _, one in kept)
        drops.append(_paired(name, meaning, base, places, replies, dict(truth)))
    return drops, left_out


def _paired(
    name: str, meaning: str, base: Replies, places: list[int], after: Replies, truth: dict[str, int]
) -> Drop:
    before = base.right[places]
    n = len(places)
    return Drop(
        name=name,
        meaning=meaning,
        n=n,
        before=float(before.mean()),
        after=after.accuracy,
        after_interval=wilson(int(after.right.sum()), n),
        drop=float(after.right.mean() - before.mean()),
        interval=paired_difference(after.right[None], before[None]),
        paired=True,
        p_value=mcnemar(after.right.tolist(), before.tolist()),
        truth=truth,
    )


def _unpaired(name: str, meaning: str, base: Replies, after: Replies) -> Drop:
    right, n = int(after.right.sum()), len(after.right)
    was, of = int(base.right.sum()), len(base.right)
    return Drop(
        name=name,
        meaning=meaning,
        n=n,
        before=base.accuracy,
        after=after.accuracy,
        after_interval=wilson(right, n),
        drop=right / n - was / of,
        interval=unpaired_difference(right, n, was, of),
        paired=False,
        p_value=None,
    )


def _guess(
    subject: Subject, dataset: Dataset, made: Sequence[Example], progress: Progress | None
) -> Guess:
    """`made` are the items without their questions."""
    replies = subject.ask(made, progress=progress)
    truths = dataset.rows("train")["truth"].to_list()
    commonest = Counter(truths).most_common(1)[0][0]
    plain = np.array([e.truth == commonest for e in made], dtype=np.bool_)
    above = paired_difference(replies.right[None], plain[None])
    return Guess(
        n=len(made),
        accuracy=replies.accuracy,
        interval=wilson(int(replies.right.sum()), len(made)),
        commonest=float(plain.mean()),
        above=above,
        guessing=above.low > 0,
    )


def _by_groups(dataset: Dataset, base: Replies) -> Overfit | None:
    """From the templates of the test items, where some of them never stood in training."""
    trained = set(dataset.rows("train")["group"].drop_nulls().to_list())
    groups = [example.group for example in base.examples]
    old = np.array([group is not None and group in trained for group in groups])
    new = np.array([group is not None and group not in trained for group in groups])
    if min(old.sum(), new.sum()) < FEWEST:
        return None
    a, b = base.right[old], base.right[new]
    return _index(int(a.sum()), len(a), int(b.sum()), len(b))


def _overfit(seen: Replies, new: Replies) -> Overfit:
    return _index(int(seen.right.sum()), len(seen.right), int(new.right.sum()), len(new.right))


def _index(seen: int, n_seen: int, new: int, n_new: int) -> Overfit:
    return Overfit(
        seen=seen / n_seen,
        new=new / n_new,
        n_seen=n_seen,
        n_new=n_new,
        index=seen / n_seen - new / n_new,
        interval=unpaired_difference(seen, n_seen, new, n_new),
    )


def _findings(suite: ShiftedSuite) -> list[str]:
    found = []
    worst = min(suite.drops, key=lambda one: one.drop, default=None)
    if worst is not None and worst.interval.high < 0:
        found.append(
            f"{suite.student} loses most under {worst.name!r}: {worst.drop * 100:+.1f} points "
            f"[{worst.interval.low * 100:+.1f}, {worst.interval.high * 100:+.1f}] on {worst.n:,} items."
        )
    elif suite.drops:
        found.append(f"No drop beyond luck was seen for {suite.student} under any change.")
    if suite.guess is not None and suite.guess.guessing:
        found.append(
            f"Without the question {suite.student} still gives the right answer on "
            f"{suite.guess.accuracy:.1%} of {suite.guess.n:,} items, more than the commonest answer's "
            f"{suite.guess.commonest:.1%}: it reads the answer off something else in the text."
        )
    if suite.overfit is not None and suite.overfit.interval.low > 0:
        found.append(
            f"It has learned its templates: {suite.overfit.seen:.1%} on seen ones with new content, "
            f"{suite.overfit.new:.1%} on new ones."
        )
    assumed = sum(drop.truth.get("assumed", 0) for drop in suite.drops)
    if assumed:
        found.append(
            f"For {assumed:,} changed items nothing could check that the right answer stayed the same; "
            "read those drops as upper bounds of the harm."
        )
    return found

"""Runs the suites that were asked for, on items that nobody who is compared has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from limbeck import __version__
from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError, StudentError, UsageError
from limbeck.evaluate.answers import Answers, answers_of
from limbeck.evaluate.bias.bbq import Item
from limbeck.evaluate.bias.bias import BiasSuite, bias_suite
from limbeck.evaluate.bias.crows import CrowsPair
from limbeck.evaluate.calibration import CalibrationSuite, calibration_suite
from limbeck.evaluate.dependence.dependence import ITEMS, DependenceSuite, dependence_suite
from limbeck.evaluate.outcome.outcome import outcome_suite
from limbeck.evaluate.result import Result, Subjected
from limbeck.evaluate.shifted.change import Changed
from limbeck.evaluate.shifted.shifted import ShiftedSuite, shifted_suite
from limbeck.evaluate.signals.table import USUAL
from limbeck.evaluate.subject import TEACHER, LocalStudent, Progress, Subject
from limbeck.evaluate.unseen import FITTED, Seen, find_seen, refuse_seen
from limbeck.types import Example, Trace

Told = Callable[[str, int | None], Progress | None]
"""Told what begins, and of how many items (None: unknown); returns what is told of its progress."""
FRESH = 300
"""Items that a generator makes for each shift."""
Paraphrase = Callable[[Sequence[Example]], list[Changed | None]]


@dataclass(frozen=True)
class Plan:
    """What is evaluated on what. `data` is where each local student learned, by its folder's name;
    `control` the label-only student that the bias of a student is held against, by its name."""

    suites: tuple[str, ...]
    split: str = "test"
    skip_seen: bool = False
    items: int | None = None
    seed: int = 0
    pairs: tuple[tuple[str, str], ...] = ()
    data: Mapping[str, Dataset] = field(default_factory=dict)
    control: Mapping[str, LocalStudent] = field(default_factory=dict)
    calls: Mapping[str, Trace] = field(default_factory=dict)
    bbq: Sequence[Item] | None = None
    crows: Sequence[CrowsPair] | None = None
    paraphrase: Paraphrase | None = None
    command: str = ""


def run_suites(
    plan: Plan,
    dataset: Dataset,
    subjects: Sequence[Subject],
    told: Told = lambda what, of: None,
) -> Result:
    """Raises DatasetError where the items were seen, and what the suites raise."""
    if not subjects:
        raise UsageError("nobody to evaluate; name a student: limbeck evaluate STUDENT")
    examples, seen = unseen_items(plan, dataset, subjects)
    outcome = None
    answers: dict[str, Answers] = {}
    usd: dict[str, float | None] = {}
    if {"outcome", "calibration"} & set(plan.suites):
        for subject in subjects:
            answers[subject.name] = _answers(
                subject,
                dataset,
                plan.split,
                examples,
                told(f"asking {subject.name}", len(examples)),
                usd,
            )
    if "outcome" in plan.suites:
        pairs = [(answers[a], answers[b]) for a, b in plan.pairs]
        calls = {e.trace_id: plan.calls[e.trace_id] for e in examples if e.trace_id in plan.calls}
        outcome = outcome_suite(dataset, plan.split, [*answers.values()], calls, pairs, usd)
    chosen = _one_a_kind(subjects)
    return Result(
        version=__version__,
        command=plan.command,
        task=dataset.task.name,
        dataset=dataset.hash,
        split=plan.split,
        n=len(examples),
        simulated=dataset.simulated,
        subjects=tuple(_subjected(one, seen[one.name]) for one in subjects),
        outcome=outcome,
        shifted=_shifted(plan, dataset, chosen, examples, told),
        dependence=_dependence(plan, chosen, examples, told),
        bias=_bias(plan, chosen, examples, told),
        calibration=_calibration(plan, dataset, chosen, answers, told),
    )


def unseen_items(
    plan: Plan, dataset: Dataset, subjects: Sequence[Subject]
) -> tuple[list[Example], dict[str, Seen]]:
    """The items of the split that no subject has seen, and what each has seen of it.

    Raises DatasetError where one has seen something and it is not to be left out.
    """
    if plan.split in FITTED:
        raise DatasetError(
            f"the split {plan.split!r} trained the students or chose among them, so that it shows nothing "
            "of what they do on new calls; name a fresh one: --split test"
        )
    examples = dataset.split(plan.split)
    if not examples:
        raise DatasetError(
            f"the dataset {dataset.path.name!r} has no {plan.split} examples; curate with a larger share "
            "of [splits], or import rows with --split"
        )
    found: dict[str, Seen] = {}
    out: set[int] = set()
    known: dict[str, Seen] = {}
    for subject in subjects:
        own = plan.data.get(subject.name)
        if own is None:
            found[subject.name] = Seen(n=len(examples), exact=0, near=0)
            continue
        if own.hash not in known:
            known[own.hash] = find_seen(examples, own)
        found[subject.name] = known[own.hash]
        if not plan.skip_seen:
            refuse_seen(subject.name, plan.split, found[subject.name])
        out.update(found[subject.name].rows)
    kept = [example for at, example in enumerate(examples) if at not in out][: plan.items]
    if not kept:
        raise DatasetError(
            f"every item of {plan.split} was seen in training; curate a dataset with fresh calls"
        )
    return kept, found


def _answers(
    subject: Subject,
    dataset: Dataset,
    split: str,
    examples: Sequence[Example],
    progress: Progress | None,
    usd: dict[str, float | None],
) -> Answers:
    """What a subject says to the items, in the form that the comparison reads."""
    if isinstance(subject, LocalStudent) and subject.card.dataset == dataset.hash:
        whole = answers_of(subject.folder, dataset, split, progress=progress)
        return _part(whole, {example.trace_id for example in examples})
    replies = subject.ask(examples, progress=progress)
    usd[subject.name] = replies.cost_usd
    return Answers(
        folder=Path(subject.name),
        card=subject.card,
        examples=list(examples),
        said=replies.said,
        right=replies.right,
        signals=np.zeros((len(examples), len(USUAL))),
        tokens=replies.tokens,
        seconds=replies.seconds,
    )


def _part(answers: Answers, wanted: set[str]) -> Answers:
    rows = [at for at, example in enumerate(answers.examples) if example.trace_id in wanted]
    if len(rows) == len(answers.examples):
        return answers
    return replace(
        answers,
        examples=[answers.examples[at] for at in rows],
        said=[answers.said[at] for at in rows],
        right=answers.right[rows],
        signals=answers.signals[rows],
        tokens=answers.tokens[rows],
        seconds=answers.seconds * len(rows) / len(answers.examples),
        teacher_right=None if answers.teacher_right is None else answers.teacher_right[rows],
        readings=tuple(answers.readings[at] for at in rows) if answers.readings else (),
    )


def _one_a_kind(subjects: Sequence[Subject]) -> list[Subject]:
    """The first seed of each recipe and base: the longer suites are run once for each."""
    first: dict[tuple[str, str], Subject] = {}
    for one in sorted(subjects, key=lambda s: s.card.seed):
        first.setdefault((one.card.recipe, one.card.base), one)
    return [one for one in subjects if one in first.values()]


def _shifted(
    plan: Plan, dataset: Dataset, subjects: Sequence[Subject], examples: list[Example], told: Told
) -> tuple[ShiftedSuite, ...]:
    if "shifted" not in plan.suites:
        return ()
    return tuple(
        shifted_suite(
            subject,
            dataset,
            examples,
            seed=plan.seed,
            fresh_items=min(FRESH, plan.items or FRESH),
            paraphrase=plan.paraphrase,
            progress=told(f"shifting the inputs of {subject.name}", None),
        )
        for subject in subjects
    )


def _dependence(
    plan: Plan, subjects: Sequence[Subject], examples: list[Example], told: Told
) -> tuple[DependenceSuite, ...]:
    if "dependence" not in plan.suites:
        return ()
    local = [one for one in subjects if isinstance(one, LocalStudent)]
    if not local:
        raise StudentError(
            "dependence is measured by putting rationales into a student's mouth, which needs its weights; "
            "name a student's folder"
        )
    return tuple(
        dependence_suite(
            subject,
            examples,
            items=plan.items or ITEMS,
            seed=plan.seed,
            progress=told(f"changing the rationales of {subject.name}", None),
        )
        for subject in local
    )


def _bias(
    plan: Plan, subjects: Sequence[Subject], examples: list[Example], told: Told
) -> tuple[BiasSuite, ...]:
    if "bias" not in plan.suites:
        return ()
    teacher = next((one for one in subjects if one.card.recipe == TEACHER), None)
    suites = []
    for subject in subjects:
        if subject is teacher:
            continue
        control = plan.control.get(subject.name)
        suites.append(
            bias_suite(
                subject,
                examples,
                control=control,
                teacher=teacher,
                bbq=plan.bbq,
                crows=plan.crows,
                progress=told(f"exchanging the people in the inputs of {subject.name}", None),
            )
        )
    return tuple(suites)


def _calibration(
    plan: Plan,
    dataset: Dataset,
    subjects: Sequence[Subject],
    answers: Mapping[str, Answers],
    told: Told,
) -> tuple[CalibrationSuite, ...]:
    if "calibration" not in plan.suites:
        return ()
    found = []
    for subject in subjects:
        if not isinstance(subject, LocalStudent) or not answers[subject.name].readings:
            continue
        held = None
        if dataset.manifest.summary.splits.get("calibration") and plan.split != "calibration":
            progress = told(f"asking {subject.name} on calibration", None)
            held = answers_of(subject.folder, dataset, "calibration", progress=progress)
        found.append(calibration_suite(answers[subject.name], held))
    if not found:
        raise StudentError(
            "calibration needs the probability of each answer, which only a student of this dataset gives "
            "here; name a student's folder"
        )
    return tuple(found)


def _subjected(subject: Subject, seen: Seen) -> Subjected:
    card = subject.card
    return Subjected(
        name=subject.name,
        recipe=card.recipe,
        base=Path(card.base).name,
        seed=card.seed,
        parameters=card.parameters,
        weights=card.weights,
        dataset=card.dataset,
        seen=seen,
    )

"""`structure`: what of a chain does the student need? Chains are spoiled by a dose, and learned from.

A 32B student kept most of its gain where digits were corrupted and lost it where steps were shuffled,
deleted or inserted (Li et al. 2025, arXiv 2502.07374); whether that holds for a small student on this
task is what the study asks. Only the training chains are spoiled, never an input of the test.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.distill.perturb import Kind, Perturbation
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import DatasetError, UsageError
from limbeck.evaluate.study.arms import Listed, Pairs, StudyArm, taught
from limbeck.evaluate.study.findings import LEVEL, compared, points
from limbeck.evaluate.study.result import ArmResult, StudyResult
from limbeck.types import Noun

QUESTION = "What of the chains does the student need: their content, their steps, their order?"
X: str | None = "dose (share that is spoiled)"
Dose = Annotated[float, Field(gt=0, le=1)]


class Settings(Noun):
    recipe: str = "think-first"
    kinds: Annotated[tuple[Kind, ...], Listed] = get_args(Kind)
    """What is done to the chains."""
    doses: Annotated[tuple[Dose, ...], Listed] = (0.5, 1.0)
    """Shares of what is touched; the dose 0 is the clean arm."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    recipe = taught(settings.recipe)
    if recipe["recipe"] == CONTROL:
        raise UsageError("the control learns from no chain, so none can be spoiled; name a recipe")
    if not dataset.rows("train")["rationale"].drop_nulls().len():
        raise DatasetError(
            f"the dataset {dataset.path.name!r} has no chain to spoil; ask for rationales with: "
            "limbeck elicit --task TASK"
        )
    clean = StudyArm(name=settings.recipe, **recipe, against=CONTROL, series="clean", x=0.0)
    spoiled = [
        StudyArm(
            name=_name(kind, dose),
            **recipe,
            perturbation=Perturbation(kind=kind, dose=dose),
            against=clean.name,
            panel=kind,
            series=kind,
            x=dose,
        )
        for kind in dict.fromkeys(settings.kinds)
        for dose in sorted(set(settings.doses))
    ]
    return (StudyArm(name=CONTROL, recipe=CONTROL, series=CONTROL), clean, *spoiled)


def _name(kind: str, dose: float) -> str:
    return f"{kind} {dose:.0%}"


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    """Every spoiled arm against the control too: is anything left of the gain?"""
    return tuple((arm.name, CONTROL) for arm in arms if arm.perturbation)


def conclude(result: StudyResult) -> list[str]:
    _, clean, *spoiled = result.arms
    said = [compared(clean)]
    kinds: dict[str, list[ArmResult]] = {}
    for arm in spoiled:
        kinds.setdefault(arm.panel, []).append(arm)
    for kind, found in kinds.items():
        said.append(_of_kind(result, kind, sorted(found, key=lambda arm: arm.x or 0)))
    return said


def _of_kind(result: StudyResult, kind: str, found: list[ArmResult]) -> str:
    strongest = found[-1]
    left = result.pair(strongest.name, CONTROL)
    rest = {
        "better": "what is left still beats the control",
        "worse": "it is then worse than no chain at all",
    }.get(left.verdict, "of the gain over the control nothing is seen to be left")
    hurt = [arm for arm in found if arm.versus and arm.versus.verdict == "worse"]
    if hurt:
        first = hurt[0]
        assert first.versus is not None
        return (
            f"{kind} hurts from a dose of {first.x:.0%}: {points(first.versus)} against clean chains; "
            f"at {strongest.x:.0%} {rest} ({points(left)})."
        )
    assert strongest.versus is not None
    if strongest.versus.verdict == "better":
        effect = "helped"
    elif strongest.versus.interval.low > -LEVEL:
        effect = "does not hurt"
    else:
        effect = "is not seen to hurt, though the interval leaves room for it"
    return (
        f"{kind} {effect}, even at {strongest.x:.0%}: {points(strongest.versus)} against clean chains, "
        f"{points(left)} against the control."
    )

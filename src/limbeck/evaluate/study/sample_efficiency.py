"""`sample-efficiency`: how much data does a recipe need for what the control does with all of it?

Learning curves over the number of inputs. Every size takes the same number of steps, so that a smaller
one is seen more often; which inputs it holds is drawn anew for each seed, and the smaller draw is part
of the larger (Hsieh et al. 2023, arXiv 2305.02301, figures 4 to 6, ask the same question).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import UsageError
from limbeck.evaluate.study.arms import Cut, Listed, Pairs, StudyArm, taught
from limbeck.evaluate.study.findings import compare_all, level, points
from limbeck.evaluate.study.result import ArmResult, StudyResult
from limbeck.types import Noun

QUESTION = (
    "How many inputs does a recipe need for what the label-only control does with all of them?"
)
X: str | None = "inputs to train on"
FEWEST = 16


class Settings(Noun):
    recipes: Annotated[tuple[str, ...], Listed] = ("think-first",)
    """The recipes beside the control, each as `NAME` or `NAME+KEY=VALUE`."""
    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Listed] = ()
    """Numbers of inputs; empty: all of them, a half, a quarter and an eighth."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    whole = dataset.rows("train")["input"].n_unique()
    sizes = sorted({min(size, whole) for size in settings.sizes}) or [
        size for size in (whole // 8, whole // 4, whole // 2, whole) if size >= FEWEST
    ]
    if len(sizes) < 2:
        raise UsageError(
            f"a learning curve needs two sizes or more and has {sizes}; the dataset "
            f"{dataset.path.name!r} has {whole:,} inputs to train on: name sizes below that with "
            "--with sizes=..., or curate more traces"
        )
    names = list(dict.fromkeys([CONTROL, *settings.recipes]))
    return tuple(
        StudyArm(
            name=_name(name, size),
            **taught(name),
            cut=Cut(inputs=size),
            against=None if name == CONTROL else _name(CONTROL, size),
            series=name,
            x=size,
        )
        for name in names
        for size in sizes
    )


def _name(recipe: str, size: int) -> str:
    return f"{recipe}, {size:,} inputs"


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    """Every arm against the control with all inputs, and each recipe's last step up in size."""
    top = max(arm.x or 0 for arm in arms)
    full = next(arm.name for arm in arms if arm.recipe == CONTROL and arm.x == top)
    found = [(arm.name, full) for arm in arms if arm.recipe != CONTROL]
    for series in dict.fromkeys(arm.series for arm in arms):
        *_, before, last = sorted((a for a in arms if a.series == series), key=lambda a: a.x or 0)
        found.append((last.name, before.name))
    return tuple(found)


def conclude(result: StudyResult) -> list[str]:
    curves: dict[str, list[ArmResult]] = {}
    for arm in sorted(result.arms, key=lambda arm: arm.x or 0):
        curves.setdefault(arm.series, []).append(arm)
    control = curves[CONTROL][-1]
    said = [_needed(result, curve, control) for name, curve in curves.items() if name != CONTROL]
    said += compare_all(result.arms)
    for name, curve in curves.items():
        rise = result.pair(curve[-1].name, curve[-2].name)
        more = {
            "better": "still gains from more data",
            "worse": "lost by more data, at the same number of steps",
        }.get(rise.verdict, "is not seen to gain")
        said.append(
            f"{name} {more} from {curve[-2].train_inputs:,} to {curve[-1].train_inputs:,} inputs: "
            f"{points(rise)}."
        )
    return said


def _needed(result: StudyResult, curve: list[ArmResult], control: ArmResult) -> str:
    for arm in curve:
        versus = result.pair(arm.name, control.name)
        if versus.verdict == "better" or level(versus):
            relation = "beats" if versus.verdict == "better" else "is level with"
            share = arm.train_inputs / control.train_inputs
            return (
                f"With {arm.train_inputs:,} inputs, {share:.0%} of the data, {arm.series} {relation} "
                f"the label-only control that has all {control.train_inputs:,}: {points(versus)}."
            )
    return (
        f"At no size is {curve[0].series} seen to reach what the label-only control does with all "
        f"{control.train_inputs:,} inputs ({control.accuracy:.1%})."
    )

"""`recipes`: which way of training on the chains does this task want, if any?

Every recipe sees the same inputs in the same order for the same number of steps, and is held against
the label-only control.
"""

from __future__ import annotations

from typing import Annotated

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.evaluate.study.arms import Listed, Pairs, StudyArm, taught
from limbeck.evaluate.study.findings import compare_all
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

QUESTION = "Which recipe is right most often, and does any beat the label-only control?"
X = None


class Settings(Noun):
    recipes: Annotated[tuple[str, ...], Listed] = ("multitask", "think-first", "answer-first")
    """The recipes that are compared, each as `NAME` or `NAME+KEY=VALUE`; the control is always among
    them."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    names = dict.fromkeys([CONTROL, *settings.recipes])
    return tuple(
        StudyArm(name=name, **taught(name), against=None if name == CONTROL else CONTROL)
        for name in names
    )


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    return ()


def conclude(result: StudyResult) -> list[str]:
    said = compare_all(result.arms)
    tested = [arm for arm in result.arms if arm.versus is not None]
    better = [arm for arm in tested if arm.versus and arm.versus.verdict == "better"]
    if not tested:
        return ["Only the control was trained, so nothing is compared."]
    if not better:
        return [
            "No recipe is seen to beat the label-only control here. The control is simpler and writes "
            "less; prefer it unless more data says otherwise.",
            *said,
        ]
    best = max(better, key=lambda arm: arm.accuracy)
    control = result.arm(CONTROL)
    return [
        f"Chains help on this task: {best.name} is right on {best.accuracy:.1%}, the label-only control "
        f"on {control.accuracy:.1%}. Asked, it writes {best.tokens:.1f} tokens an answer where the "
        f"control writes {control.tokens:.1f}.",
        *said,
    ]

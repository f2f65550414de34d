"""`lora`: do low-rank adapters lose anything against training all weights?

The same recipe, inputs and steps, once with every weight and once with adapters of several ranks. A
student from scratch has nothing that an adapter could adapt, so the study wants a pretrained one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import UsageError
from limbeck.evaluate.study.arms import Listed, Pairs, StudyArm, taught
from limbeck.evaluate.study.findings import compare_all
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

QUESTION = "Do low-rank adapters lose anything against training all weights?"
X: str | None = None


class Settings(Noun):
    recipe: str = "think-first"
    ranks: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Listed] = (8, 32)
    """Ranks of the adapters."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    # Not at the top: it loads the tensor library.
    from limbeck.distill.students import PRESETS

    recipe = taught(settings.recipe)
    if base in PRESETS:
        raise UsageError(
            f"the student {base!r} starts from scratch, and an adapter over weights that nobody trained "
            "has nothing to adapt; name a pretrained one with --student FOLDER_OR_ID"
        )
    return (
        StudyArm(name=CONTROL, recipe=CONTROL),
        StudyArm(name="all weights", **recipe, against=CONTROL),
        *(
            StudyArm(
                name=f"adapters of rank {rank}",
                **recipe,
                settings={"tune": "lora", "lora_rank": rank},
                against="all weights",
            )
            for rank in sorted(set(settings.ranks))
        ),
    )


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    return ()


def conclude(result: StudyResult) -> list[str]:
    return compare_all(result.arms)

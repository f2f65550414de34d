"""`samples`: how many chains of one input are worth training on?

The recipe `sampled` with more and more chains of the same inputs, at the same number of steps (Symbolic
Chain-of-Thought Distillation, Li et al. 2023, arXiv 2306.14050, used up to 30).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import DatasetError, UsageError
from limbeck.evaluate.study.arms import Listed, Pairs, StudyArm
from limbeck.evaluate.study.findings import compare_all, compared
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

QUESTION = "How many chains of one input are worth training on?"
X: str | None = "chains of an input, at most"


class Settings(Noun):
    chains: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Listed] = (1, 2, 4, 8, 16, 30)
    """Numbers of chains; those above what the dataset has are left out."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    most = max((len(example.chains) for example in dataset.split("train")), default=0)
    counts = sorted({1, *(count for count in settings.chains if count <= most)})
    if most < 2:
        raise DatasetError(
            f"no input of the dataset {dataset.path.name!r} has more than one chain, so their number "
            "cannot be compared; keep several in the curation, with `per_input = 8` under "
            "[checks.duplicates] in the task file, of a teacher that was asked several times"
        )
    if len(counts) < 2:
        raise UsageError(
            f"the numbers of chains {list(settings.chains)} leave nothing to compare: the dataset "
            f"{dataset.path.name!r} has at most {most} of an input; name some from 2 to {most}"
        )
    control = StudyArm(name=CONTROL, recipe=CONTROL, series=CONTROL)
    return (
        control,
        *(
            StudyArm(
                name=_name(count),
                recipe="sampled",
                recipe_given={"chains": count},
                against=CONTROL if count == 1 else _name(1),
                series="sampled",
                x=count,
            )
            for count in counts
        ),
    )


def _name(count: int) -> str:
    return f"{count} {'chain' if count == 1 else 'chains'}"


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    """Each number of chains against the next smaller one."""
    counted = [arm for arm in arms if arm.recipe != CONTROL]
    return tuple((b.name, a.name) for a, b in pairwise(counted[1:]))


def conclude(result: StudyResult) -> list[str]:
    said = compare_all(result.arms)
    for pair in result.pairs:
        arm = result.arm(pair.arm)
        said.append(compared(arm.model_copy(update={"versus": pair.versus})))
    return said

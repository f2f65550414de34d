"""`samplers`: with a budget of chains for each input, does it matter which ones are kept?

Each way of choosing against a random choice of as many, which is a strong baseline and therefore always
trained (Li et al. 2023, Symbolic Chain-of-Thought Distillation, arXiv 2306.14050, section 4). A random
choice is drawn anew for each seed, so that its interval covers the luck of the draw too.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.curate.samplers import SAMPLERS
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import DatasetError, UsageError
from limbeck.evaluate.study.arms import Cut, Listed, Pairs, StudyArm
from limbeck.evaluate.study.findings import compare_all
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

QUESTION = "With a budget of chains for each input, does it matter which ones are kept?"
X = None
RANDOM = "random"
ALL = "all chains"


class Settings(Noun):
    budget: Annotated[int, Field(ge=1)] = 2
    """Chains of an input that are kept."""
    samplers: Annotated[tuple[str, ...], Listed] = tuple(SAMPLERS)
    """Who chooses; `random` is always among them."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    unknown = [name for name in settings.samplers if name not in SAMPLERS]
    if unknown:
        raise UsageError(f"there is no sampler {unknown[0]!r}; wanted one of {', '.join(SAMPLERS)}")
    most = max((len(example.chains) for example in dataset.split("train")), default=0)
    if most <= settings.budget:
        raise DatasetError(
            f"no input of the dataset {dataset.path.name!r} has more than {most} chains, so that a "
            f"budget of {settings.budget} leaves nothing to choose; curate with a larger `per_input` "
            "under [checks.duplicates] in the task file, or give a smaller --with budget=N"
        )
    names = dict.fromkeys([RANDOM, *settings.samplers])
    chosen = [
        StudyArm(
            name=name,
            recipe="sampled",
            cut=Cut(chains=settings.budget, sampler=name),
            against=CONTROL if name == RANDOM else RANDOM,
        )
        for name in names
    ]
    whole = StudyArm(name=ALL, recipe="sampled", against=RANDOM)
    return (StudyArm(name=CONTROL, recipe=CONTROL), *chosen, whole)


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    return ()


def conclude(result: StudyResult) -> list[str]:
    chosen = [arm for arm in result.arms if arm.name not in (CONTROL, RANDOM, ALL)]
    better = [arm for arm in chosen if arm.versus and arm.versus.verdict == "better"]
    if better:
        best = max(better, key=lambda arm: arm.accuracy)
        first = f"Which chains are kept matters here: {best.name} is right on {best.accuracy:.1%}."
    else:
        first = "No way of choosing is seen to beat a random choice of as many chains; take that."
    return [first, *compare_all(result.arms)]

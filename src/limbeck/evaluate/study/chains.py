"""`chains`: short chains or long ones?

The recipe `mix` with a growing share of inputs that train on their longest chain. Students of up to 3B
parameters learned more from short ones (the learnability gap, Li et al. 2025, arXiv 2502.12143).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import DatasetError, UsageError
from limbeck.evaluate.study.arms import Listed, Pairs, StudyArm
from limbeck.evaluate.study.findings import compare_all
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

QUESTION = "Does this student learn more from short chains or from long ones?"
X: str | None = "share of inputs with a long chain"


class Settings(Noun):
    long: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Listed] = (0.0, 0.2, 0.5, 1.0)
    """Shares of the inputs that train on their longest chain."""
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the words that the short form of an only chain keeps."""


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    shares = sorted(set(settings.long))
    if len(shares) < 2:
        raise UsageError(f"the study wants two shares of long chains or more and got {shares}")
    if not any(example.rationale for example in dataset.split("train")):
        raise DatasetError(
            f"the dataset {dataset.path.name!r} has no chain; ask for rationales with: "
            "limbeck elicit --task TASK"
        )
    first = _name(shares[0])
    return (
        StudyArm(name=CONTROL, recipe=CONTROL, series=CONTROL),
        *(
            StudyArm(
                name=_name(share),
                recipe="mix",
                recipe_given={"long": share, "rate": settings.rate},
                against=CONTROL if share == shares[0] else first,
                series="mix",
                x=share,
            )
            for share in shares
        ),
    )


def _name(share: float) -> str:
    return {0.0: "short chains only", 1.0: "long chains only"}.get(
        share, f"{share:.0%} long chains"
    )


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    return ()


def conclude(result: StudyResult) -> list[str]:
    mixed = [arm for arm in result.arms if arm.recipe != CONTROL]
    best = max(mixed, key=lambda arm: arm.accuracy)
    return [
        *compare_all(result.arms),
        f"{best.name} did best ({best.accuracy:.1%}) and writes {best.tokens:.0f} tokens an answer; "
        f"{mixed[0].name} writes {mixed[0].tokens:.0f}.",
    ]

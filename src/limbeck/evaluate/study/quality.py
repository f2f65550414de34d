"""`quality`: are the replies that the checks dropped worth having after all?

Four shares of one pool, at the same number of steps: what the checks kept, half of it, as many inputs
drawn from everything, and everything. Where half of the checked data does as well as all of the
unchecked, checking is worth more than calling (LIMO and s1 make the case for few and good chains:
Ye et al. 2025, arXiv 2502.03387; Muennighoff et al. 2025, arXiv 2501.19393).
"""

from __future__ import annotations

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError
from limbeck.evaluate.study.arms import Cut, Pairs, StudyArm, taught
from limbeck.evaluate.study.data import dropped_for_quality
from limbeck.evaluate.study.findings import compare_all, compared
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

QUESTION = "Is less data that passed the checks worth more than all of it?"
X = None
FEWEST = 20


class Settings(Noun):
    recipe: str = "think-first"


def arms(dataset: Dataset, settings: Settings, base: str) -> tuple[StudyArm, ...]:
    recipe = taught(settings.recipe)
    kept = dataset.rows("train")["input"].n_unique()
    dropped = dropped_for_quality(dataset).height
    if dropped < FEWEST:
        raise DatasetError(
            f"the checks dropped {dropped:,} replies of the training split that could be learned from "
            f"all the same; wanted {FEWEST} or more to tell whether dropping them was right"
        )
    checked = f"all {kept:,} that passed the checks"
    cuts = {
        checked: Cut(),
        f"half of them, {kept // 2:,}": Cut(inputs=kept // 2),
        f"{kept:,} drawn from everything": Cut(pool="unchecked"),
        f"everything, {kept + dropped:,}": Cut(pool="everything"),
    }
    return tuple(
        StudyArm(
            name=name,
            **recipe,
            cut=cut,
            against=None if name == checked else checked,
        )
        for name, cut in cuts.items()
    )


def pairs(arms: tuple[StudyArm, ...]) -> Pairs:
    """Half of the checked data against everything."""
    return ((arms[1].name, arms[3].name),)


def conclude(result: StudyResult) -> list[str]:
    half, everything = result.arms[1], result.arms[3]
    versus = result.pair(half.name, everything.name)
    return [
        *compare_all(result.arms),
        compared(half.model_copy(update={"versus": versus})),
    ]

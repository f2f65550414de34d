"""Which studies there are, by name, imported on use.

A study is a module with `QUESTION`, `X` (what its `x` counts, or None), a `Settings` model,
`arms(dataset, settings, base) -> tuple[StudyArm, ...]`, `pairs(arms)`: what is compared beside each
arm's `against`, and `conclude(result) -> list[str]`.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

from pydantic import ValidationError

from limbeck.curate.dataset import Dataset
from limbeck.errors import UsageError
from limbeck.evaluate.study.arms import Pairs, StudyArm
from limbeck.evaluate.study.result import StudyResult
from limbeck.types import Noun

TABLE = {
    "recipes": "limbeck.evaluate.study.recipes",
    "sample-efficiency": "limbeck.evaluate.study.sample_efficiency",
    "structure": "limbeck.evaluate.study.structure",
    "quality": "limbeck.evaluate.study.quality",
    "samples": "limbeck.evaluate.study.samples",
    "samplers": "limbeck.evaluate.study.samplers",
    "lora": "limbeck.evaluate.study.lora",
    "chains": "limbeck.evaluate.study.chains",
}


class Study(Protocol):
    QUESTION: str
    X: str | None
    Settings: type[Noun]

    def arms(self, dataset: Dataset, settings: Any, base: str) -> tuple[StudyArm, ...]: ...

    def pairs(self, arms: tuple[StudyArm, ...]) -> Pairs: ...

    def conclude(self, result: StudyResult) -> list[str]: ...


def load_study(name: str) -> Study:
    """The study of that name; raises `UsageError` naming the ones that exist."""
    if name not in TABLE:
        raise UsageError(f"there is no study {name!r}; wanted one of {', '.join(TABLE)}")
    return cast(Study, importlib.import_module(TABLE[name]))


def study_settings(name: str, given: dict[str, Any]) -> Noun:
    """The study's settings with `given` applied; raises `UsageError` on a wrong key or value."""
    model = load_study(name).Settings
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = str(first["loc"][0]) if first["loc"] else ""
        known = ", ".join(model.model_fields)
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"--with {place!r} of the study {name!r}: {said[:1].lower()}{said[1:]} "
            f"(got {first.get('input')!r}); known: {known}"
        ) from None

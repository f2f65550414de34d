"""What a study compares: arms, each with its recipe, its settings and its share of the data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from limbeck.distill.perturb import Perturbation
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.errors import UsageError
from limbeck.types import Noun

Pool = Literal["checked", "unchecked", "everything"]
"""`checked`: what the curation kept. `everything`: that and the replies that its checks dropped.
`unchecked`: as many inputs as `checked` has, drawn from `everything`."""


class Cut(Noun):
    """Which part of the training data an arm sees; `inputs` is how many, None for all of the pool.

    With `chains`, each input keeps so many at most of its chains, which `sampler` chooses.
    """

    inputs: Annotated[int, Field(ge=1)] | None = None
    pool: Pool = "checked"
    chains: Annotated[int, Field(ge=1)] | None = None
    sampler: str = "random"


class StudyArm(Noun):
    """One way of training; a student of it is made for each seed.

    `settings` are the training settings in which it differs from the others. `against` names the arm
    that it is compared with. `panel`, `series` and `x` are its place in the drawing: which one, which
    line, and where on it.
    """

    name: str
    recipe: str
    recipe_given: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    cut: Cut = Cut()
    perturbation: Perturbation | None = None
    against: str | None = None
    panel: str = ""
    series: str = ""
    x: float | None = None


def taught(text: str) -> dict[str, Any]:
    """The `recipe` and `recipe_given` of an arm, from `NAME` or `NAME+KEY=VALUE+KEY=VALUE`.

    Values are kept as the recipe's settings read them, so that `0.5` and `0.50` name the same student.
    Raises `UsageError` on another shape, `ConfigError` on an unknown recipe, key or value.
    """
    name, *written = text.split("+")
    pairs = [pair.partition("=") for pair in written]
    if not all(key.strip() and equals for key, equals, _ in pairs):
        raise UsageError(
            f"the recipe {text!r} is no NAME+KEY=VALUE; wanted for example multitask+alpha=0.3"
        )
    values = {key.strip(): value.strip() for key, _, value in pairs}
    read = recipe_settings(load_recipe(name), values)
    return {"recipe": name, "recipe_given": read.model_dump(mode="json", include=set(values))}


Pairs = tuple[tuple[str, str], ...]
"""Names of arms (first, second) whose paired difference a study's conclusions need beside `against`."""


def _listed(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    return [part.strip() for part in given.split(",") if part.strip()]


Listed = BeforeValidator(_listed)
"""Of a setting of several values, which a command line gives with commas."""

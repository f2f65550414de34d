"""Which recipes there are, by name, imported on use.

A recipe is a module (or any object) with a `Settings` model, a pure function
`trees(examples, settings) -> list[Tree]`, and `ask(settings) -> Ask`: how a student that was trained
so is asked afterwards. A package adds its own through the entry-point group `limbeck.recipes`, or
names it by path as `package.module`; the built-in ones go through the same door.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

from pydantic import ValidationError

from limbeck.errors import ConfigError
from limbeck.types import Ask, Example, Noun, Tree

TABLE = {
    "label": "limbeck.distill.recipes.label",
    "multitask": "limbeck.distill.recipes.multitask",
    "think-first": "limbeck.distill.recipes.think_first",
    "answer-first": "limbeck.distill.recipes.answer_first",
}
CONTROL = "label"
"""The recipe that every other is compared with: same data, steps and size, no rationale."""


class Recipe(Protocol):
    Settings: type[Noun]

    def trees(self, examples: Sequence[Example], settings: Any) -> list[Tree]: ...

    def ask(self, settings: Any) -> Ask: ...


def load_recipe(name: str) -> Recipe:
    """The recipe of that name; raises `ConfigError` naming the ones that exist."""
    module = TABLE.get(name) or _from_entry_points().get(name) or (name if "." in name else None)
    if module is None:
        raise ConfigError(
            f"there is no recipe {name!r}; wanted one of {sorted(TABLE)} or a module path"
        )
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"the recipe {name!r} cannot be imported from {module!r}: {error}"
        ) from None
    absent = [part for part in ("Settings", "trees", "ask") if not hasattr(found, part)]
    if absent:
        raise ConfigError(f"the recipe module {module!r} lacks {absent}; see CONTRIBUTING.md")
    return cast(Recipe, found)


def recipe_settings(recipe: Recipe, given: dict[str, Any]) -> Noun:
    """The recipe's settings with `given` applied; raises `ConfigError` on a wrong key or value."""
    try:
        return recipe.Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        known = sorted(recipe.Settings.model_fields)
        raise ConfigError(
            f"recipe setting {place!r}: {first['msg']} (got {first.get('input')!r}); known: {known}"
        ) from None


def _from_entry_points() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group="limbeck.recipes")}

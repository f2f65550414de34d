"""Which recipes there are, by name, imported on use.

A recipe is a module (or any object) with a `Settings` model, a pure function
`trees(examples, settings) -> list[Tree]`, and `ask(settings) -> Ask`: how a student that was trained
so is asked afterwards. A recipe that takes more than one training also has `TRAIN`, the
`module:function` that runs them all and returns the student's folder.

A package adds its own through the entry-point group `limbeck.recipes`, or names it as
`package.module`, `package.module:name` or `path/to/file.py` (also with `:name`); the built-in ones go
through the same door. A plain function `(examples) -> list[Tree]` is a recipe without settings; how
its student is asked is read off its first tree.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, cast

from pydantic import ValidationError

from limbeck.errors import ConfigError
from limbeck.types import Ask, Example, Noun, Tree, text_hash

TABLE = {
    "label": "limbeck.distill.recipes.label",
    "multitask": "limbeck.distill.recipes.multitask",
    "think-first": "limbeck.distill.recipes.think_first",
    "answer-first": "limbeck.distill.recipes.answer_first",
    "adaptive": "limbeck.distill.recipes.adaptive",
    "sampled": "limbeck.distill.recipes.sampled",
    "mix": "limbeck.distill.recipes.mix",
    "outline": "limbeck.distill.recipes.outline",
    "socratic": "limbeck.distill.recipes.socratic",
    "bootstrap": "limbeck.distill.recipes.bootstrap",
    "on-policy": "limbeck.distill.recipes.on_policy",
}
CONTROL = "label"
"""The recipe that every other is compared with: same data, steps and size, no rationale."""


class Recipe(Protocol):
    Settings: type[Noun]

    def trees(self, examples: Sequence[Example], settings: Any) -> list[Tree]: ...

    def ask(self, settings: Any) -> Ask: ...


class NoSettings(Noun):
    """Of a recipe that is a plain function."""


class FunctionRecipe:
    """A recipe that is a plain function from examples to trees."""

    Settings: type[Noun] = NoSettings

    def __init__(self, name: str, function: Callable[[Sequence[Example]], list[Tree]]) -> None:
        self._name = name
        self._function = function

    def trees(self, examples: Sequence[Example], settings: Noun) -> list[Tree]:
        return self._function(examples)

    def ask(self, settings: Noun) -> Ask:
        """Read off what the function makes of an example: the first branch is what is asked for."""
        probe = Example(
            trace_id="probe", input="2 + 3?", rationale="2 + 3 = 5.", answer="5", truth="5"
        )
        parts = self._function([probe])[0].branches[0].parts
        roles = [part.role for part in parts]
        if roles[0] != "control" or "answer" not in roles:
            raise ConfigError(
                f"the first branch of the recipe {self._name!r} has the parts {roles}; wanted a "
                "control part first and an answer part after it"
            )
        order: Literal["answer", "rationale_answer", "answer_rationale"] = "answer"
        if "rationale" in roles:
            before = roles.index("rationale") < roles.index("answer")
            order = "rationale_answer" if before else "answer_rationale"
        return Ask(control=parts[0].text, order=order, causal=order == "rationale_answer")


def load_recipe(name: str) -> Recipe:
    """The recipe of that name; raises `ConfigError` naming the ones that exist."""
    place = TABLE.get(name) or _from_entry_points().get(name)
    if place is None and ("." in name or ":" in name):
        place = name
    if place is None:
        raise ConfigError(
            f"there is no recipe {name!r}; wanted one of {sorted(TABLE)}, a module or a .py file"
        )
    module, _, attribute = _divided(place)
    found: Any = _module(name, module)
    if attribute:
        if not hasattr(found, attribute):
            raise ConfigError(f"the recipe {name!r}: {module!r} has no {attribute!r}")
        found = getattr(found, attribute)
    absent = [part for part in ("Settings", "trees", "ask") if not hasattr(found, part)]
    if len(absent) == 3 and callable(found):
        return FunctionRecipe(name, found)
    if absent:
        raise ConfigError(f"the recipe module {place!r} lacks {absent}; see docs/recipes.md")
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


def training_of(recipe: Recipe) -> Callable[..., Path] | None:
    """The function that runs a recipe of several trainings; None for one that is a single one."""
    place = getattr(recipe, "TRAIN", None)
    if place is None:
        return None
    module, _, function = str(place).partition(":")
    return cast(Callable[..., Path], getattr(importlib.import_module(module), function))


def short_name(name: str) -> str:
    """A recipe's name as it stands in a folder's name: `mine` for `./recipes/mine.py`."""
    module, _, attribute = _divided(name)
    if attribute:
        return attribute
    return Path(module).stem if module.endswith(".py") else module.rpartition(".")[2]


def code_hash(name: str) -> str | None:
    """The hash of the file that holds a user's recipe; None for a built-in one.

    It is part of the name of a student, so that a changed recipe makes another student.
    """
    if name in TABLE:
        return None
    place = _from_entry_points().get(name) or name
    module, _, _ = _divided(place)
    if module.endswith(".py"):
        origin: str | None = module
    else:
        found = importlib.util.find_spec(module)
        origin = found.origin if found is not None else None
    if origin is None or not Path(origin).is_file():
        return None
    return text_hash(Path(origin).read_text(encoding="utf-8", errors="replace"))


def _divided(place: str) -> tuple[str, str, str]:
    """Module or file, and the name inside it; a drive letter's colon is none."""
    module, colon, attribute = place.rpartition(":")
    if not colon or not attribute.isidentifier():
        return place, "", ""
    return module, colon, attribute


def _module(name: str, module: str) -> ModuleType:
    try:
        if not module.endswith(".py"):
            return importlib.import_module(module)
        path = Path(module).absolute()
        # A name of its own for each path, which pickling and pydantic find in sys.modules.
        alias = f"limbeck_recipe_{text_hash(str(path))[7:15]}"
        spec = importlib.util.spec_from_file_location(alias, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        made = importlib.util.module_from_spec(spec)
        sys.modules[alias] = made
        spec.loader.exec_module(made)
        return made
    except (ImportError, OSError, SyntaxError) as error:
        raise ConfigError(
            f"the recipe {name!r} cannot be imported from {module!r}: {error}"
        ) from None


def _from_entry_points() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group="limbeck.recipes")}

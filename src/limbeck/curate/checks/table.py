"""The built-in checks, in the order in which the first reason to drop a trace is looked for.

What is wrong with the reply as a whole comes before what is wrong with the chain, and the answer's
truth comes last: a looping chain with a wrong answer is dropped as a loop, which says more.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl
from pydantic import ValidationError

from limbeck.curate.checks.verdict import CheckSettings
from limbeck.errors import ConfigError
from limbeck.types import Noun, Task

S = TypeVar("S", bound=Noun)

CHECKS: dict[str, str] = {
    "refusal": "limbeck.curate.checks.refusal",
    "loop": "limbeck.curate.checks.loop",
    "cut_off": "limbeck.curate.checks.cut_off",
    "missing_answer": "limbeck.curate.checks.missing_answer",
    "malformed_answer": "limbeck.curate.checks.malformed_answer",
    "residue": "limbeck.curate.checks.residue",
    "nonsense": "limbeck.curate.checks.nonsense",
    "arithmetic": "limbeck.curate.checks.arithmetic",
    "contradiction": "limbeck.curate.checks.contradiction",
    "short_or_long": "limbeck.curate.checks.short_or_long",
    "wrong_answer": "limbeck.curate.checks.wrong_answer",
}
"""Name of a check to its module, which has `Settings` and `check(frame, task, settings)`."""


@dataclass(frozen=True)
class Check:
    """A check ready to run, with its resolved settings."""

    name: str
    settings: CheckSettings
    function: Callable[[pl.DataFrame, Task, Any], pl.DataFrame]

    def run(self, frame: pl.DataFrame, task: Task) -> pl.DataFrame:
        """`verdict` and `evidence` for each row of `frame`, in its order."""
        result = self.function(frame, task, self.settings)
        assert result.height == frame.height, f"check {self.name} lost or added rows"
        return result


def load(name: str, settings: Mapping[str, Any] | None = None) -> Check:
    """The check `name` with `settings` over its defaults.

    Raises ConfigError for an unknown name, key or value.
    """
    if name not in CHECKS:
        raise ConfigError(f"there is no check {name!r}; wanted {_closest(name, list(CHECKS))}")
    module = importlib.import_module(CHECKS[name])
    return Check(name, resolve(f"checks.{name}", module.Settings, settings or {}), module.check)


def resolve(place: str, model: type[S], given: Mapping[str, Any]) -> S:
    """`given` as settings of the type `model`; one sentence names the key that is wrong."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            wanted = _closest(key, list(model.model_fields))
            raise ConfigError(f"{place} has no setting {key!r}; wanted {wanted}") from None
        raise ConfigError(f"{place}.{key} is {first['input']!r}: {first['msg']}") from None


def _closest(got: str, names: list[str]) -> str:
    near = difflib.get_close_matches(got, names, n=1)
    listed = f"one of {', '.join(names)}"
    return f"{near[0]!r}? (it must be {listed})" if near else listed

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
    "language": "limbeck.curate.checks.language",
    "nonsense": "limbeck.curate.checks.nonsense",
    "arithmetic": "limbeck.curate.checks.arithmetic",
    "contradiction": "limbeck.curate.checks.contradiction",
    "support": "limbeck.curate.checks.support",
    "short_or_long": "limbeck.curate.checks.short_or_long",
    "judge": "limbeck.curate.checks.judge",
    "wrong_answer": "limbeck.curate.checks.wrong_answer",
}
"""Name of a check to its module.

A module has `Settings` and `check(frame, task, settings)`, which sees one batch of the traces and
must say the same of a trace whatever else is in its batch. A check that compares a trace with the
whole task has `fit(sample, task, settings)` too: it gets up to `SAMPLE` traces, always the same ones
of the same store, and what it returns (small, frozen, to be pickled) is the fourth argument of its
`check(frame, task, settings, state)`.
"""

SAMPLE = 5_000
"""Traces that a check may learn the task's own statistics from."""

UNLEARNED: Any = object()
"""Stands for what a check has not been told; it may well have learned nothing."""


@dataclass(frozen=True)
class Check:
    """A check ready to run, with its resolved settings."""

    name: str
    settings: CheckSettings
    function: Callable[..., pl.DataFrame]
    fit: Callable[[pl.DataFrame, Task, Any], Any] | None = None

    def learn(self, sample: pl.DataFrame, task: Task) -> Any:
        """What the check must know of the whole task before it sees a batch; None for most."""
        return None if self.fit is None else self.fit(sample, task, self.settings)

    def run(self, frame: pl.DataFrame, task: Task, state: Any = UNLEARNED) -> pl.DataFrame:
        """`verdict` and `evidence` for each row of `frame`, in its order.

        `state` is what `learn` gave; without it, the check learns from `frame` itself.
        """
        given: tuple[Any, ...] = (frame, task, self.settings)
        if self.fit is not None:
            given = (*given, self.learn(frame, task) if state is UNLEARNED else state)
        result = self.function(*given)
        assert result.height == frame.height, f"check {self.name} lost or added rows"
        return result


def load(name: str, settings: Mapping[str, Any] | None = None) -> Check:
    """The check `name` with `settings` over its defaults.

    Raises ConfigError for an unknown name, key or value.
    """
    if name not in CHECKS:
        raise ConfigError(f"there is no check {name!r}; wanted {_closest(name, list(CHECKS))}")
    module = importlib.import_module(CHECKS[name])
    resolved = resolve(f"checks.{name}", module.Settings, settings or {})
    return Check(name, resolved, module.check, getattr(module, "fit", None))


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

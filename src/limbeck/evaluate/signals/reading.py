"""All that may be known of a student's reply when it is decided who answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from limbeck.curate.equations import Equation, equations
from limbeck.evaluate.signals.novelty import Novelty
from limbeck.models.local import Said
from limbeck.types import Task

FLOOR = -20.0
"""Log-probabilities below this say nothing more, and would let one token rule a fit."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply with its input.

    `answer` is the reply's in the task's form. `novelty` holds what the training inputs were like.
    `samples` are the answers of further replies that were drawn at random, and `direct` the answer that
    the student gives without its rationale; both only where the student was asked for them.
    """

    input: str
    said: Said
    task: Task
    answer: str | None
    choices: tuple[str, ...] = ()
    novelty: Novelty | None = None
    samples: tuple[str | None, ...] = ()
    direct: str | None = None


@lru_cache(maxsize=8)
def steps_of(rationale: str) -> tuple[Equation, ...]:
    """The rationale's equations and comparisons; several signals look at them, one after the other."""
    return tuple(equations(rationale))

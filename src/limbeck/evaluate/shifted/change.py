"""A change of one input that should not change whether the job can be done.

A change is a function `(example, rng) -> Changed | None`; None where it does not apply. To add one: a
file beside this one and a line in `CHANGES`. `truth` says how the right answer of the changed input is
known: `kept` (the change cannot touch it), `renamed` with the names, `derived` by a solver or from the
steps of the chain, `assumed` (it should not matter, and nobody checked), `open` (only a solver can say).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module
from typing import Literal, Protocol

from limbeck.errors import DataError
from limbeck.types import AnswerKind, Example, Noun
from limbeck.verify.wording import fold

Truth = Literal["kept", "renamed", "derived", "assumed", "open"]

CHANGES = {
    "renamed": "limbeck.evaluate.shifted.renamed",
    "new-numbers": "limbeck.evaluate.shifted.new_numbers",
    "reordered": "limbeck.evaluate.shifted.reordered",
    "distractor": "limbeck.evaluate.shifted.distractor",
    "one-more-step": "limbeck.evaluate.shifted.one_more_step",
}
ONLY: dict[str, AnswerKind] = {"one-more-step": "number"}
"""Changes that mean something for one kind of answer alone."""


class Changed(Noun):
    example: Example
    truth: Truth


class Change(Protocol):
    MEANING: str

    def change(self, example: Example, rng: random.Random) -> Changed | None: ...


Solver = Callable[[str], str]
"""The right answer to an input, from its text alone; raises DataError on text it cannot read."""


def load_change(name: str) -> Change:
    from typing import cast

    return cast(Change, import_module(CHANGES[name]))


def settled(changed: Changed, solver: Solver | None) -> Changed | None:
    """The change with its truth derived by the solver, where there is one; None where nobody knows what
    would be right: the solver cannot read the changed input, or there is none and it takes one."""
    if solver is None:
        return changed if changed.truth != "open" else None
    try:
        truth = solver(changed.example.input)
    except DataError:
        return None
    example = changed.example.model_copy(update={"truth": truth, "answer": truth})
    known = changed.truth in ("kept", "renamed") and fold(truth) == fold(changed.example.truth)
    return Changed(example=example, truth=changed.truth if known else "derived")

"""`adaptive`: both orders, and for each input the one that gets it right (Chen et al. 2024, arXiv
2404.09170).

    L = (1 − s) · L(⟨answer⟩ answer ⟨think⟩ rationale)  +  s · L(⟨think⟩ rationale ⟨answer⟩ answer)

The student learns to answer first and to think first under two control tokens; s is `think_share`.
Afterwards it answers first, which costs a few tokens, and a selector decides from that answer whether
the student is asked again and thinks: a logistic regression of "the first answer is right" on the
answer's log-probability, its margin, its length and the length of the input, fitted on validation; its
threshold is the one with the best accuracy there, then the fewest tokens.

This stands in for the paper's perception module, a soft prompt whose training is not fully described.
Differs from it: the selector reads the student's own first answer and not only the input, so that every
input pays for a first answer. `adaptive.json` beside the student has accuracy and tokens of both orders
and of the choice (cross-fitted: no item is judged by a selector that saw it), and the accuracy of an
oracle that always takes the right order.

A first answer cannot have been caused by a rationale; a second one can.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.distill.recipes.think_first import thinking
from limbeck.types import Ask, Branch, Example, Noun, Part, Tree

TRAIN = "limbeck.distill.adaptive:train"


class Settings(Noun):
    think_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Weight of thinking first; answering first has the rest."""
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0
    """Weight of a rationale in either order, against 1 for the answer."""


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    return [
        Tree(prompt=example.input, branches=_branches(example, settings), weight=example.weight)
        for example in examples
    ]


def _branches(example: Example, settings: Settings) -> tuple[Branch, ...]:
    first, second = 1 - settings.think_share, settings.think_share
    answer = (
        Part(text="answer", role="control", weight=0.0),
        Part(text=example.answer, role="answer", weight=first),
    )
    if not example.rationale:
        return (Branch(parts=answer),)
    explained = (
        Part(text="think", role="control", weight=first * settings.rationale_weight),
        Part(text=example.rationale, role="rationale", weight=first * settings.rationale_weight),
    )
    return (
        Branch(parts=(*answer, *explained)),
        thinking(example.rationale, example.answer, second * settings.rationale_weight, second),
    )


def ask(settings: Settings) -> Ask:
    return Ask(control="answer", order="answer_rationale", causal=False)

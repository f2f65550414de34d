"""`bootstrap`: a few seed chains, then the student's own verified ones (STaR, Zelikman et al. 2022,
arXiv 2203.14465).

    round 0   train the base on the seed chains (about a tenth of the inputs)
    round r   the last student samples a chain for every other input; those whose answer verifies stay;
              for the others it writes one with the answer as a hint, which stays if the student, given
              that chain and no hint, answers right; then the base is trained anew on what stays

    L = L(⟨think⟩ chain ⟨answer⟩ answer)  +  h · L(chain | ⟨answer⟩ answer ⟨think⟩)

The second term, with weight h = `hint_weight`, teaches to write a chain towards a given answer. In STaR
a large model is shown both by a few examples in its prompt; a small student has to learn them. As there,
a round's chains come from the last student alone, and each training starts from the base, so that errors
do not pile up. Differs: seeds stay in every round; a rationalized chain is checked without its hint;
`samples` above 1 tries several chains at `temperature` and keeps the first that verifies.

With `rate` below 1 the seeds are outlines (see `outline`) and the student goes on from those. A student
from scratch has a tokenizer that was trained on all chains, the unused ones too, so that it is the
control's. `rounds.json` beside the student says for every round how many chains came from where
(`teacher`, `self`, `rationalized`) and how many inputs have none; `chains.jsonl` holds the last round's.
A chain is written before the answer and can have caused it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.distill.recipes.think_first import ASK, thinking
from limbeck.types import Ask, Branch, Example, Noun, Part, Tree

TRAIN = "limbeck.distill.bootstrap:train"


class Settings(Noun):
    seeds: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the inputs whose chains are taken from the data."""
    rounds: Annotated[int, Field(ge=1)] = 2
    """How often the student writes chains and the base is trained on them."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """Chains that are tried for an input; 1 is the likeliest one."""
    temperature: Annotated[float, Field(gt=0)] = 0.8
    """Of the sampling, where `samples` is above 1."""
    rationalize: bool = True
    """Whether the answer is given as a hint where sampling failed."""
    hint_weight: Annotated[float, Field(ge=0)] = 0.5
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the words that the seeds keep; below 1 they are outlines."""


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    """What one round learns of the examples that have a chain in it."""
    return [
        Tree(prompt=example.input, branches=_branches(example, settings), weight=example.weight)
        for example in examples
    ]


def _branches(example: Example, settings: Settings) -> tuple[Branch, ...]:
    first = thinking(example.rationale, example.answer)
    if not example.rationale or not settings.rationalize or not settings.hint_weight:
        return (first,)
    towards = Branch(
        parts=(
            Part(text="answer", role="control", weight=0.0),
            Part(text=example.answer, role="answer", weight=0.0),
            Part(text="think", role="control", weight=0.0),
            Part(text=example.rationale, role="rationale", weight=settings.hint_weight),
        )
    )
    return (first, towards)


def ask(settings: Settings) -> Ask:
    return ASK

"""`mix`: short and long chains at a ratio (the learnability gap, Li et al. 2025, arXiv 2502.12143).

    L = mean over inputs of  w_r · L(⟨think⟩ chain) + w_a · L(⟨answer⟩ answer | chain)

where a share `long` of the inputs has its longest chain and the others their shortest. Students of up
to 3B parameters learned more from short chains, larger ones from long; about a fifth of long chains
among short ones helped the small (the paper's mixture: long = 0.2).

Where an input has one chain only, that is the long one and its outline at `rate` the short one, so that
the recipe works on any dataset. In the paper short and long chains come from different prompts or
models; to have that, curate with `per_input` of 2 or more. Which inputs are long is decided by a hash,
so that a larger share is a superset of a smaller one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from limbeck.distill.recipes.outline import commonness, outline
from limbeck.distill.recipes.think_first import ASK, thinking
from limbeck.types import Ask, Chain, Example, Noun, Tree, text_hash


class Settings(Noun):
    long: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the inputs that train on their longest chain."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the words that the short form of an only chain keeps."""
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0
    answer_weight: Annotated[float, Field(gt=0)] = 1.0


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    common = commonness(examples)
    return [_tree(example, settings, common) for example in examples]


def _tree(example: Example, settings: Settings, common: Mapping[str, int]) -> Tree:
    chain = _chain(example, settings, common)
    branch = thinking(
        chain.rationale if chain else None,
        chain.answer if chain else example.answer,
        settings.rationale_weight,
        settings.answer_weight,
    )
    return Tree(prompt=example.input, branches=(branch,), weight=example.weight)


def _chain(example: Example, settings: Settings, common: Mapping[str, int]) -> Chain | None:
    if not example.chains:
        return None
    ordered = sorted(example.chains, key=lambda chain: len(chain.rationale))
    # The first 32 bits of a hash are a number that is even over the inputs.
    if int(text_hash(example.input)[7:15], 16) / 2**32 < settings.long:
        return ordered[-1]
    if len(ordered) > 1:
        return ordered[0]
    [only] = ordered
    return only.model_copy(update={"rationale": outline(only.rationale, settings.rate, common)})


def ask(settings: Settings) -> Ask:
    return ASK

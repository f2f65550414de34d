"""`outline`: the chain compressed to an outline at a stated rate, then the answer.

    L = w_r · L(⟨think⟩ outline) + w_a · L(⟨answer⟩ answer | outline)

Every step keeps `rate` of its words, rounded up, in their order. Numbers, operators and other words
without letters stay first (to lose one breaks a sum), then the words that are in the fewest chains of
the data: what every chain says tells the student least. No step is lost, since small changes inside of
the steps cost a student less than a changed order of them (Li et al. 2025, arXiv 2502.07374, for a 32B
student). Choosing tokens by importance at a rate follows TokenSkip (Xia et al. 2025, arXiv 2502.12067),
which asks a model for the importance; here counting replaces it, so that a recipe stays a pure function
of the data. The student writes outlines afterwards, so that answering costs about `rate` of
think-first.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from limbeck.distill.recipes.think_first import ASK, thinking
from limbeck.distill.steps import join_steps, steps_of
from limbeck.types import Ask, Example, Noun, Tree

_LETTERS = re.compile(r"[^\W\d_]")


class Settings(Noun):
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the words of each step that stay; 1 is think-first."""
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0
    answer_weight: Annotated[float, Field(gt=0)] = 1.0


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    common = commonness(examples)
    return [
        Tree(
            prompt=example.input,
            branches=(
                thinking(
                    example.rationale and outline(example.rationale, settings.rate, common),
                    example.answer,
                    settings.rationale_weight,
                    settings.answer_weight,
                ),
            ),
            weight=example.weight,
        )
        for example in examples
    ]


def commonness(examples: Sequence[Example]) -> Counter[str]:
    """In how many chains of the data each word stands."""
    return Counter(
        word
        for example in examples
        for chain in example.chains
        for word in {_bare(word) for word in chain.rationale.split()}
    )


def outline(rationale: str, rate: float, common: Mapping[str, int]) -> str:
    """The chain with `rate` of the words of each step; at rate 1 the chain itself."""
    if rate == 1:
        return rationale
    return join_steps([_shortened(step, rate, common) for step in steps_of(rationale)], rationale)


def _shortened(step: str, rate: float, common: Mapping[str, int]) -> str:
    words = step.split()
    ranked = sorted(
        range(len(words)),
        key=lambda at: (
            bool(_LETTERS.search(words[at])) and not any(map(str.isdigit, words[at])),
            common.get(_bare(words[at]), 0),
            at,
        ),
    )
    kept = set(ranked[: math.ceil(rate * len(words))])
    return " ".join(word for at, word in enumerate(words) if at in kept)


def _bare(word: str) -> str:
    return word.strip(".,;:!?()\"'").casefold()


def ask(settings: Settings) -> Ask:
    return ASK

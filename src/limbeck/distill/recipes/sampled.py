"""`sampled`: many chains of one input (Symbolic Chain-of-Thought Distillation, Li et al. 2023,
arXiv 2306.14050).

    L = mean over inputs of  1/K · Σ_k [w_r · L(⟨think⟩ rationale_k) + w_a · L(⟨answer⟩ answer_k)]

The chains of an input are branches of one prompt, which is computed once for all of them. The weight of
an input is divided among its chains, so that an input with thirty counts as much as one with two. With
`draw = "fresh"` the student sees one chain of an input at a time and the next one the next time: an
input with fewer chains begins again with its first, so that all inputs are seen equally often.

The chains come from a curation with `per_input` above 1 (`[checks.duplicates] per_input = 30` in the
task file); without that each input has one, and this is think-first. The paper samples 30 chains at
temperature 1 and keeps wrong ones too; whether wrong ones are here is decided by the check
`wrong_answer` of the curation. Of more than `chains` a random choice is kept (by a hash, so that more
is always a superset of fewer): the paper's strong baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from limbeck.distill.recipes.think_first import ASK, thinking
from limbeck.types import Ask, Chain, Example, Noun, Tree, text_hash


class Settings(Noun):
    chains: Annotated[int, Field(ge=0)] = 0
    """How many chains of an input are used at most; 0: all that the dataset has."""
    draw: Literal["all", "fresh"] = "all"
    """All chains of an input at once, or one fresh chain each time that the input is seen."""
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0
    answer_weight: Annotated[float, Field(gt=0)] = 1.0


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    chosen = [_chosen(example, settings.chains) for example in examples]
    if settings.draw == "all":
        return [
            _tree(example, chains, settings)
            for example, chains in zip(examples, chosen, strict=True)
        ]
    rounds = max((len(chains) for chains in chosen), default=1)
    return [
        _tree(example, (chains[number % len(chains)],), settings)
        for number in range(rounds)
        for example, chains in zip(examples, chosen, strict=True)
    ]


def _chosen(example: Example, most: int) -> tuple[Chain | None, ...]:
    """The chains that are used; None stands for an answer without one."""
    chains: tuple[Chain, ...] = example.chains
    if not chains:
        return (None,)
    if most and len(chains) > most:
        kept = sorted(chains, key=lambda chain: text_hash(f"{example.input}\n{chain.rationale}"))
        chains = tuple(chain for chain in chains if chain in kept[:most])
    return chains


def _tree(example: Example, chains: Sequence[Chain | None], settings: Settings) -> Tree:
    share = 1 / len(chains)
    return Tree(
        prompt=example.input,
        branches=tuple(
            thinking(
                chain.rationale if chain else None,
                chain.answer if chain else example.answer,
                settings.rationale_weight * share,
                settings.answer_weight * share,
            )
            for chain in chains
        ),
        weight=example.weight,
    )


def ask(settings: Settings) -> Ask:
    return ASK

"""`think-first`: rationale, then answer (chain-of-thought fine-tuning, "pre-thinking").

    L = w_r · L(⟨think⟩ rationale) + w_a · L(⟨answer⟩ answer | rationale)

The student writes its own rationale before it answers, so the rationale can have caused the answer,
and an error in it carries over (Chen et al. 2024, arXiv 2404.09170). Answering costs the length of
the rationale. An example without a usable rationale trains the direct answer under ⟨answer⟩.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.types import Ask, Branch, Example, Noun, Part, Tree

ASK = Ask(control="think", order="rationale_answer", causal=True)
"""How every student is asked that writes a chain and then its answer."""


class Settings(Noun):
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0
    answer_weight: Annotated[float, Field(gt=0)] = 1.0


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    return [
        Tree(
            prompt=example.input,
            branches=(
                thinking(
                    example.rationale,
                    example.answer,
                    settings.rationale_weight,
                    settings.answer_weight,
                ),
            ),
            weight=example.weight,
        )
        for example in examples
    ]


def thinking(
    rationale: str | None, answer: str, rationale_weight: float = 1.0, answer_weight: float = 1.0
) -> Branch:
    """The branch of one chain and its answer; of the answer alone where there is no chain."""
    said = Part(text=answer, role="answer", weight=answer_weight)
    if not rationale:
        return Branch(parts=(Part(text="answer", role="control", weight=0.0), said))
    return Branch(
        parts=(
            Part(text="think", role="control", weight=0.0),
            Part(text=rationale, role="rationale", weight=rationale_weight),
            Part(text="answer", role="control", weight=answer_weight),
            said,
        )
    )


def ask(settings: Settings) -> Ask:
    return ASK

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


class Settings(Noun):
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0
    answer_weight: Annotated[float, Field(gt=0)] = 1.0


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    return [
        Tree(
            prompt=example.input,
            branches=(Branch(parts=_parts(example, settings)),),
            weight=example.weight,
        )
        for example in examples
    ]


def _parts(example: Example, settings: Settings) -> tuple[Part, ...]:
    answer = Part(text=example.answer, role="answer", weight=settings.answer_weight)
    if not example.rationale:
        return (Part(text="answer", role="control", weight=0.0), answer)
    return (
        Part(text="think", role="control", weight=0.0),
        Part(text=example.rationale, role="rationale", weight=settings.rationale_weight),
        Part(text="answer", role="control", weight=settings.answer_weight),
        answer,
    )


def ask(settings: Settings) -> Ask:
    return Ask(control="think", order="rationale_answer", causal=True)

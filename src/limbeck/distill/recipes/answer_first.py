"""`answer-first`: answer, then rationale ("post-thinking", Chen et al. 2024, arXiv 2404.09170).

    L = w_a · L(⟨answer⟩ answer) + w_r · L(⟨think⟩ rationale | answer)

Decoding stops after the answer, so answering costs no more than with the control, and an error in
the rationale cannot carry over. The rationale cannot have caused the answer: it is post-hoc by
construction. Hard questions lose the decomposition that think-first gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.types import Ask, Branch, Example, Noun, Part, Tree


class Settings(Noun):
    answer_weight: Annotated[float, Field(gt=0)] = 1.0
    rationale_weight: Annotated[float, Field(gt=0)] = 1.0


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
    control = Part(text="answer", role="control", weight=0.0)
    answer = Part(text=example.answer, role="answer", weight=settings.answer_weight)
    if not example.rationale:
        return (control, answer)
    return (
        control,
        answer,
        Part(text="think", role="control", weight=settings.rationale_weight),
        Part(text=example.rationale, role="rationale", weight=settings.rationale_weight),
    )


def ask(settings: Settings) -> Ask:
    return Ask(control="answer", order="answer_rationale", causal=False)

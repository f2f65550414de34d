"""`multitask`: Distilling Step-by-Step (Hsieh et al. 2023, arXiv 2305.02301).

Two tasks share one prompt and differ in a control token; only the label task is used afterwards, so
that answering costs no more than with the control:

    L = α · L(⟨answer⟩ answer) + (1 − α) · L(⟨think⟩ rationale)

The paper writes L_label + λ·L_rationale; its code uses the form above with α = 0.5, which is the
default here. Differs from the paper: the control token follows the input instead of a task prefix
before it, so that both branches can share the computation of the prompt; an example without a usable
rationale trains the label branch alone, where the reference code trains an empty rationale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.types import Ask, Branch, Example, Noun, Part, Tree


class Settings(Noun):
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Weight of the label task; the rationale task has 1 − alpha."""


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    return [
        Tree(prompt=example.input, branches=_branches(example, settings), weight=example.weight)
        for example in examples
    ]


def _branches(example: Example, settings: Settings) -> tuple[Branch, ...]:
    label = Branch(
        parts=(
            Part(text="answer", role="control", weight=0.0),
            Part(text=example.answer, role="answer", weight=settings.alpha),
        )
    )
    if not example.rationale:
        return (label,)
    rationale = Branch(
        parts=(
            Part(text="think", role="control", weight=0.0),
            Part(text=example.rationale, role="rationale", weight=1 - settings.alpha),
        )
    )
    return (label, rationale)


def ask(settings: Settings) -> Ask:
    return Ask(control="answer", order="answer", causal=False)

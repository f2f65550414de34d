"""`multitask`: Distilling Step-by-Step (Hsieh et al. 2023, arXiv 2305.02301).

Two tasks share one prompt and differ in a control token; only the label task is used afterwards, so
that answering costs no more than with the control. The authors' code mixes them with α = 0.5, which is
the default here; their paper adds them with λ, which `lam` gives:

    L = α · L(⟨answer⟩ answer) + (1 − α) · L(⟨think⟩ rationale)      (code; alpha = 0.5)
    L = L(⟨answer⟩ answer) + λ · L(⟨think⟩ rationale)                (paper; lam = 1)

Up to a factor, which the norm of a step takes out, they are one: α = 1 / (1 + λ). What L means is a
setting of the training: with `mean = "part"` each target counts as a whole, so that a short label
weighs as much as a long rationale at α = 0.5, which is nearest to the reference code (it takes the
mean over the tokens of each task in a batch); with `mean = "token"`, the default of the engine, each
token counts, and a rationale of sixty tokens outweighs a label of two by thirty.

Differs from the paper: the control token follows the input instead of a task prefix before it, so that
both branches can share the computation of the prompt; an example without a usable rationale trains the
label branch alone, where the reference code trains an empty rationale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from limbeck.types import Ask, Branch, Example, Noun, Part, Tree


class Settings(Noun):
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Weight of the label task; the rationale task has 1 − alpha."""
    lam: Annotated[float, Field(gt=0)] | None = None
    """The paper's λ, in place of alpha: the label task weighs 1 and the rationale task λ."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Settings:
        if self.lam is not None and "alpha" in self.model_fields_set:
            raise ValueError("alpha and lam are both given; they say the same: wanted one of them")
        return self

    @property
    def weights(self) -> tuple[float, float]:
        """Of the label task and of the rationale task."""
        return (self.alpha, 1 - self.alpha) if self.lam is None else (1.0, self.lam)


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    return [
        Tree(prompt=example.input, branches=_branches(example, settings), weight=example.weight)
        for example in examples
    ]


def _branches(example: Example, settings: Settings) -> tuple[Branch, ...]:
    of_label, of_rationale = settings.weights
    label = Branch(
        parts=(
            Part(text="answer", role="control", weight=0.0),
            Part(text=example.answer, role="answer", weight=of_label),
        )
    )
    if not example.rationale:
        return (label,)
    rationale = Branch(
        parts=(
            Part(text="think", role="control", weight=0.0),
            Part(text=example.rationale, role="rationale", weight=of_rationale),
        )
    )
    return (label, rationale)


def ask(settings: Settings) -> Ask:
    return Ask(control="answer", order="answer", causal=False)

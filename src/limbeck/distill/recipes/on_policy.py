"""`on-policy`: the student's own chains, corrected token by token by a teacher whose probabilities are
known (generalized knowledge distillation, Agarwal et al. 2024, arXiv 2306.13649).

    L = mean over tokens of  β · KL(P ‖ M) + (1 − β) · KL(Q ‖ M),   M = β · P + (1 − β) · Q

P is the teacher's and Q the student's distribution of the next token; β = 0 is KL(P ‖ Q) and β = 1 is
KL(Q ‖ P), their limits up to a factor. A share `own` of the steps (the paper's λ) learns from chains that
the student sampled itself, the others from the chains of the data; no gradient flows through the
sampling. The first `warmup` of the steps uses the data alone, with KL(P ‖ Q): a student from scratch has
nothing to say yet, and the bounded divergence would hardly move it, where the paper begins with a student
that is fine-tuned already.

The teacher must be a model on this machine with the same tokenizer, since the distributions are compared
token by token: an API gives no distributions, and another tokenizer cuts the text elsewhere. Such a
teacher is a larger student of the same dataset (`limbeck distill DATASET --student micro`), or a
pretrained model that was distilled by limbeck, for a `--student` of the same family.

The student thinks first; its rationale can have caused the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from limbeck.distill.recipes.think_first import ASK, thinking
from limbeck.types import Ask, Example, Noun, Tree

TRAIN = "limbeck.distill.on_policy:train"


class Settings(Noun):
    teacher: str = ""
    """Folder of the teacher, or the name of a student of this workspace."""
    beta: Annotated[float, Field(ge=0, le=1)] = 0.5
    own: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the steps, after the warm-up, that learn from the student's own chains."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the steps at the beginning that use the data alone, at β = 0."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of the sampling of own chains."""


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    """The chains of the data; the student's own are made while it trains."""
    return [
        Tree(
            prompt=example.input,
            branches=(thinking(example.rationale, example.answer),),
            weight=example.weight,
        )
        for example in examples
    ]


def ask(settings: Settings) -> Ask:
    return ASK

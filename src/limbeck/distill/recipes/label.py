"""`label`: input → answer. The control of every comparison; it never sees a rationale.

L = mean over examples of  −log p(answer, end | input, ⟨answer⟩)
"""

from __future__ import annotations

from collections.abc import Sequence

from limbeck.types import Ask, Branch, Example, Noun, Part, Tree


class Settings(Noun):
    """Nothing to set: a control has no knobs."""


def trees(examples: Sequence[Example], settings: Settings) -> list[Tree]:
    return [
        Tree(
            prompt=example.input,
            branches=(
                Branch(
                    parts=(
                        Part(text="answer", role="control", weight=0.0),
                        Part(text=example.answer, role="answer"),
                    )
                ),
            ),
            weight=example.weight,
        )
        for example in examples
    ]


def ask(settings: Settings) -> Ask:
    return Ask(control="answer", order="answer", causal=False)

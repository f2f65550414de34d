"""The question taken out: whoever still answers right is guessing from the rest of the text."""

from __future__ import annotations

from limbeck.evaluate.shifted.text import divide, question_of
from limbeck.types import Example


def without_question(example: Example) -> Example | None:
    """The example without the sentence that asks; None where there is none, or nothing else."""
    sentences = divide(example.input)
    place = question_of(sentences)
    if place is None or len(sentences.parts) < 2:
        return None
    parts = [part for i, part in enumerate(sentences.parts) if i != place]
    gaps = [gap for i, gap in enumerate(sentences.gaps) if i != place]
    text = "".join(part + gap for part, gap in zip(parts, gaps, strict=True)).strip()
    return example.model_copy(update={"input": text})

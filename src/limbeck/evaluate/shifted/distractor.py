"""One more sentence that decides nothing."""

from __future__ import annotations

import random

from limbeck.evaluate.shifted.change import Changed
from limbeck.evaluate.shifted.text import divide, question_of
from limbeck.types import Example

MEANING = "One sentence more, which decides nothing."

ASIDES = (
    "It was a quiet day.",
    "The weather was mild for the season.",
    "A bus went by in the meantime.",
    "Somebody had left a window open.",
    "Nobody was in a hurry.",
    "The radio was playing in the next room.",
)
"""Without a name or a number, so that they cannot be mistaken for a fact of the case."""


def change(example: Example, rng: random.Random) -> Changed | None:
    sentences = divide(example.input)
    question = question_of(sentences)
    aside = rng.choice(ASIDES)
    if not any(character.isupper() for character in example.input):
        aside = aside.lower()
    parts = list(sentences.parts)
    # Before the question, or after all of it: never between a text's last line and its end.
    place = rng.randint(0, question) if question is not None else 0
    parts.insert(place, aside)
    gaps = list(sentences.gaps)
    gaps.insert(place, " ")
    text = "".join(p + g for p, g in zip(parts, gaps, strict=True)).strip()
    return Changed(example=example.model_copy(update={"input": text}), truth="kept")

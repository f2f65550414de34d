"""The sentences in another order, the question where it was. The order may matter in a story: without
a solver the truth is assumed to be the same."""

from __future__ import annotations

import random

from limbeck.evaluate.shifted.change import Changed
from limbeck.evaluate.shifted.text import divide, question_of
from limbeck.types import Example

MEANING = "The sentences stand in another order; the question stays where it was."


def change(example: Example, rng: random.Random) -> Changed | None:
    sentences = divide(example.input)
    question = question_of(sentences)
    places = [i for i in range(len(sentences.parts)) if i != question]
    if len(places) < 2:
        return None
    mixed = places[:]
    while mixed == places:
        rng.shuffle(mixed)
    parts = list(sentences.parts)
    for place, source in zip(places, mixed, strict=True):
        parts[place] = sentences.parts[source]
    text = sentences.join(parts)
    return Changed(example=example.model_copy(update={"input": text}), truth="assumed")

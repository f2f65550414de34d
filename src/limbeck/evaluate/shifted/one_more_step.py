"""One step more after the last, for answers that are numbers: the new answer follows from the old one."""

from __future__ import annotations

import random
from fractions import Fraction

from limbeck.curate.equations import show
from limbeck.evaluate.shifted.change import Changed
from limbeck.types import Example
from limbeck.verify.number import parse

MEANING = "A last sentence asks for one step more: a number is added to the result."

LARGEST = 9


def change(example: Example, rng: random.Random) -> Changed | None:
    truth = parse(example.truth)
    if truth is None:
        return None
    more = rng.randint(2, LARGEST)
    step = f"Then add {more} to the result."
    if not any(character.isupper() for character in example.input):
        step = step.lower()
    answer = show(Fraction(truth) + more)
    update = {"input": f"{example.input.rstrip()} {step}", "truth": answer, "answer": answer}
    return Changed(example=example.model_copy(update=update), truth="derived")

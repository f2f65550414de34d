from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from limbeck.distill.recipes.outline import commonness, outline
from limbeck.distill.steps import steps_of
from limbeck.types import Example, Tree

Made = Callable[..., list[Tree]]

CHAIN = "the shop sold 12 apples and 7 pears.\nso it sold 12 + 7 = 19 pieces of fruit in all."


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.8, 1.0])
def test_every_step_keeps_its_share_of_words_in_their_order(rate: float) -> None:
    short = outline(CHAIN, rate, {})
    assert len(steps_of(short)) == 2
    for before, after in zip(steps_of(CHAIN), steps_of(short), strict=True):
        words = iter(before.split())
        assert all(word in words for word in after.split())
        assert len(after.split()) == math.ceil(rate * len(before.split()))


def test_numbers_and_operators_stay_longest() -> None:
    assert outline(CHAIN, 0.36, {}) == "the 12 7\n12 + 7 = 19"


def test_what_every_chain_says_goes_first(only: Example) -> None:
    said = ["the cat is grey.", "the dog is black.", "the fox is red."]
    examples = [
        only.model_copy(update={"trace_id": str(at), "rationale": text})
        for at, text in enumerate(said)
    ]
    common = commonness(examples)
    assert [outline(text, 0.5, common) for text in said] == ["cat grey.", "dog black.", "fox red."]


def test_at_rate_one_it_is_think_first(made: Made, several: Example, bare: Example) -> None:
    assert made("outline", [several, bare], rate=1) == made("think-first", [several, bare])
    short, _ = made("outline", [several, bare], rate=0.5)
    assert len(short.branches[0].parts[1].text) < len(several.rationale or "")

"""Examples as recipes see them, and what they make of them in a form that reads well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.types import Chain, Example, Tree

Made = Callable[..., list[Tree]]


@pytest.fixture
def several() -> Example:
    """An input with three chains; the second one went wrong."""
    return Example(
        trace_id="s",
        input="2 + 3?",
        rationale="2 and 3 make 5.",
        answer="5",
        truth="5",
        weight=2.0,
        others=(
            Chain(rationale="2 and 3 make 6.", answer="6"),
            Chain(rationale="three more than 2 are 3, 4, 5.", answer="5"),
        ),
    )


@pytest.fixture
def only() -> Example:
    """An input with one chain."""
    return Example(
        trace_id="o",
        input="1 + 1?",
        rationale="the sum of the two ones is 1 + 1 = 2.",
        answer="2",
        truth="2",
    )


@pytest.fixture
def bare() -> Example:
    """An input without a chain."""
    return Example(trace_id="b", input="0?", answer="0", truth="0")


@pytest.fixture
def made() -> Made:
    """`made(recipe, examples, key=value)`: its trees."""

    def make(name: str, examples: list[Example], **given: object) -> list[Tree]:
        recipe = load_recipe(name)
        return recipe.trees(examples, recipe_settings(recipe, given))

    return make

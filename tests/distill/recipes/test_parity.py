from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limbeck.distill.loss import batch_loss
from limbeck.distill.recipes.table import TABLE, load_recipe, recipe_settings
from limbeck.distill.rows import collate, rows_of
from limbeck.distill.tokens import EncodedTree, Encoder
from limbeck.types import Chain, Example

VARIANTS: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in TABLE),
    ("multitask", {"lam": 2}),
    ("sampled", {"draw": "fresh"}),
    ("mix", {"long": 0.5}),
    ("socratic", {"students": "two"}),
    ("adaptive", {"think_share": 0.8}),
]


@pytest.fixture
def chained(examples: list[Example]) -> list[Example]:
    """The examples with three chains for each that has one."""
    return [
        example.model_copy(
            update={
                "others": (
                    Chain(rationale=f"again. {example.rationale}", answer=example.answer),
                    Chain(
                        rationale=example.rationale[: len(example.rationale) // 2], answer="deny"
                    ),
                )
            }
        )
        if example.rationale
        else example
        for example in examples[:5]
    ]


def gradient(model: PreTrainedModel, trees: Sequence[EncodedTree], layout: str) -> torch.Tensor:
    """The gradient of all weights, as one vector."""
    model.zero_grad()
    rows = rows_of(trees, layout)
    norm = sum(weight for row in rows for weight in row.weights)
    batch_loss(model, collate(rows, 0), norm, torch.float32).value.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([grad.flatten() for grad in grads])


@pytest.mark.parametrize("part_mean", [False, True], ids=["token", "part"])
@pytest.mark.parametrize(("name", "given"), VARIANTS, ids=[f"{n}-{g}" for n, g in VARIANTS])
def test_the_engine_gives_every_recipe_the_gradient_of_its_branches_apart(
    name: str,
    given: dict[str, object],
    part_mean: bool,
    chained: list[Example],
    tiny: Callable[..., PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    recipe = load_recipe(name)
    trees = Encoder(tokenizer, part_mean).trees(
        recipe.trees(chained, recipe_settings(recipe, given))
    )
    model = tiny("llama")
    shared, plain = gradient(model, trees, "tree"), gradient(model, trees, "plain")
    assert float(plain.norm()) > 0
    assert float((shared - plain).norm() / plain.norm()) < 1e-4

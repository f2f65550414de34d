from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5Config,
    T5ForConditionalGeneration,
)

from limbeck.distill.loss import batch_loss, pack, rows_for
from limbeck.distill.pairs import Pairs
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.distill.tokens import EncodedTree, Encoder
from limbeck.types import Example


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def t5(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    torch.manual_seed(0)
    given: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 2,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "tie_word_embeddings": request.param,
        "scale_decoder_outputs": request.param,
        "feed_forward_proj": "relu" if request.param else "gated-gelu",
        "decoder_start_token_id": tokenizer.pad_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return T5ForConditionalGeneration(T5Config(**given))


@pytest.fixture
def trees(examples: list[Example], tokenizer: PreTrainedTokenizerBase) -> list[EncodedTree]:
    recipe = load_recipe("multitask")
    made = recipe.trees(examples, recipe_settings(recipe, {}))
    return Encoder(tokenizer, part_mean=False).trees(made)


def gradient(model: PreTrainedModel, trees: list[EncodedTree], tokens: int) -> torch.Tensor:
    model.zero_grad()
    rows = rows_for(model, trees, "auto")
    norm = sum(weight for row in rows for weight in row.weights)
    for batch in pack(model, rows, tokens, int(model.config.pad_token_id)):
        batch_loss(model, batch, norm, torch.float32).value.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def apart(model: PreTrainedModel, trees: list[EncodedTree]) -> torch.Tensor:
    """The library's own forward pass, one branch at a time."""
    model.zero_grad()
    norm = sum(w * t.weight for t in trees for b in t.branches for w in b.weights)
    for tree in trees:
        for branch in tree.branches:
            logits = model(
                input_ids=torch.tensor([tree.prompt]),
                decoder_input_ids=torch.tensor([[model.config.pad_token_id, *branch.ids[:-1]]]),
            ).logits[0]
            each = torch.nn.functional.cross_entropy(
                logits, torch.tensor(branch.ids), reduction="none"
            )
            (each @ torch.tensor(branch.weights) * tree.weight / norm).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("tokens", [100_000, 400])
def test_branches_that_share_an_encoder_have_the_gradient_of_branches_apart(
    t5: PreTrainedModel, trees: list[EncodedTree], tokens: int
) -> None:
    shared, plain = gradient(t5, trees, tokens), apart(t5, trees)
    assert float((shared - plain).norm() / plain.norm()) < 1e-4


def test_a_prompt_goes_through_the_encoder_once(
    t5: PreTrainedModel, trees: list[EncodedTree]
) -> None:
    [batch] = pack(t5, rows_for(t5, trees, "auto"), 100_000, 0)
    assert isinstance(batch, Pairs)
    assert len(batch.prompts) == len(trees)
    assert len(batch.ids) == sum(len(tree.branches) for tree in trees) > len(trees)
    assert set(batch.ids[:, 0].tolist()) == {t5.config.decoder_start_token_id}

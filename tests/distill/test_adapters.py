from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from limbeck.distill.adapters import RANKS, adapt, quantized, rank_for
from limbeck.distill.attention import NAME
from limbeck.distill.loss import batch_loss, pack, rows_for
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.distill.settings import DistillSettings
from limbeck.distill.students import save_model
from limbeck.distill.tokens import EncodedTree, Encoder
from limbeck.distill.train import train
from limbeck.errors import ConfigError
from limbeck.types import Example

Make = Callable[..., PreTrainedModel]
SETTINGS = DistillSettings(tune="lora", steps=4, batch=4, precision="float32")


@pytest.fixture
def trees(examples: list[Example], tokenizer: PreTrainedTokenizerBase) -> list[EncodedTree]:
    recipe = load_recipe("multitask")
    made = recipe.trees(examples, recipe_settings(recipe, {}))
    return Encoder(tokenizer, part_mean=False).trees(made)


@pytest.fixture
def adapted(
    tiny: Make, tokenizer: PreTrainedTokenizerBase, trees: list[EncodedTree]
) -> Callable[..., PreTrainedModel]:
    def make(**given: object) -> PreTrainedModel:
        return adapt(tiny(**given), tokenizer, trees, SETTINGS)

    return make


@pytest.mark.parametrize("attention", ["sdpa", NAME])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_adapters_get_the_gradient_of_branches_apart(
    kind: str, tied: bool, attention: str, adapted: Make, trees: list[EncodedTree]
) -> None:
    model = adapted(kind=kind, tied=tied, attention=attention)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                # At zero, where it begins, half of the gradient is none.
                parameter.normal_(std=0.05)

    def gradient(layout: str) -> torch.Tensor:
        model.zero_grad()
        rows = rows_for(model, trees, layout)
        for batch in pack(model, rows, 10_000, 0):
            batch_loss(model, batch, 1.0, torch.float32).value.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    shared, plain = gradient("tree"), gradient("plain")
    assert float((shared - plain).norm() / plain.norm()) < 1e-4


def test_every_linear_layer_is_adapted_and_only_new_tokens_are_trained(adapted: Make) -> None:
    names = [name for name, p in adapted().named_parameters() if p.requires_grad]
    for layer in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        assert any(f"{layer}.lora_A" in name for name in names)
    assert all("lora_" in name or "trainable_tokens" in name for name in names)
    assert any("trainable_tokens" in name for name in names)


def test_the_rank_grows_with_what_the_data_says(tiny: Make) -> None:
    model = tiny()
    ranks = [rank_for(model, tokens) for tokens in (1, 30_000, 10**12)]
    assert ranks[0] == RANKS[0] < ranks[1] < ranks[2] == RANKS[-1]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_trained_adapter_is_merged_and_may_be_kept(
    adapted: Make,
    tiny: Make,
    trees: list[EncodedTree],
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    model = adapted()
    seen: list[str] = []

    def score(whole: PreTrainedModel) -> float:
        seen.append(type(whole).__name__)
        return 1.0

    trained = train(
        model, trees, SETTINGS, tmp_path, pad=0, scratch=False, identity="lora", score=score
    )
    assert seen == ["Qwen2ForCausalLM"]
    save_model(model, tokenizer, trained.weights, tmp_path / "student", tmp_path / "adapter")
    ids = torch.tensor([trees[0].prompt])
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    base = copy.deepcopy(tiny())
    apart = PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert torch.allclose(merged(ids).logits, apart(ids).logits, atol=1e-5)
    assert not torch.allclose(merged(ids).logits, tiny()(ids).logits, atol=1e-3)


def test_four_bits_without_the_library_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install bitsandbytes"):
        quantized()

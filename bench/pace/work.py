"""The work that every contestant is given: the same model, the same prompts, the same targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.types import Noun

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PAD, END = 0, 1


class Shape(Noun):
    """A Llama-type model with random weights."""

    layers: int = 4
    width: int = 256
    heads: int = 4
    hidden: int = 768
    vocabulary: int = 4096


class Cell(Noun):
    """One kind of data: prompts of about `prompt` tokens, each with `branches` targets of about
    `target`. Lengths are spread evenly, by 30 % to both sides."""

    prompt: int
    branches: int
    target: int = 60

    @property
    def name(self) -> str:
        return f"{self.branches} x {self.prompt}"


class Order(Noun):
    """One turn: what to train on, for how long."""

    cell: Cell
    seconds: float
    sequences: int = 32
    """Targets a step, the same for all."""
    lora: bool = False


class Pace(Noun):
    """What a turn gave. `targets` counts supervised tokens."""

    targets: int
    seconds: float
    steps: int
    peak_memory_mb: float | None = None


Data = list[tuple[list[int], list[list[int]]]]
"""Prompts, each with its targets, as token ids."""


def data(cell: Cell, vocabulary: int, items: int = 512, seed: int = 0) -> Data:
    """Random ids: how fast a step is does not depend on what they say."""
    random = np.random.default_rng(seed)

    def text(about: int) -> list[int]:
        length = int(random.integers(round(0.7 * about), round(1.3 * about) + 1))
        return [int(i) for i in random.integers(2, vocabulary, length)]

    return [
        (text(cell.prompt), [[*text(cell.target)[1:], END] for _ in range(cell.branches)])
        for _ in range(max(items // cell.branches, 64))
    ]


def build(shape: Shape, attention: str) -> PreTrainedModel:
    """The model in float32, the same weights each time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        eos_token_id=END,
        bos_token_id=None,
    )
    config._attn_implementation = attention
    return LlamaForCausalLM(config)


def dtype() -> torch.dtype:
    """What all compute in: bfloat16 where this machine multiplies it natively, else float32, which is then
    many times faster."""
    from limbeck.distill.compute import compute_dtype
    from limbeck.distill.settings import DistillSettings

    return compute_dtype(DistillSettings())


def adapted(model: PreTrainedModel, rank: int = 16) -> PreTrainedModel:
    """With adapters on all linear layers, the same for all."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    made: Any = get_peft_model(model, config)
    return made  # type: ignore[no-any-return]


def saved(shape: Shape, folder: Path) -> Path:
    """A folder with the model and a tokenizer of single words, for who wants to load one."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    build(shape, "sdpa").save_pretrained(folder)
    words = {"<pad>": PAD, "<end>": END, **{f"w{i}": i for i in range(2, shape.vocabulary)}}
    made = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<end>"
    ).save_pretrained(folder)
    return folder

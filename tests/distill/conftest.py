"""A small dataset, small models of several kinds, and a tokenizer; all made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from limbeck.capture.sandbox.tasks import load, render
from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.distill.attention import register
from limbeck.distill.tokens import train_tokenizer
from limbeck.types import Example, Outcome, Provenance, Trace

KINDS = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The order of a sum depends on the number of threads, and equal weights are compared here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    sandbox = load("refunds")
    task = sandbox.task()
    traces, truths = [], {}
    for item in sandbox.generate(80, seed=1):
        trace = Trace(
            task=task.name,
            input=item.input,
            raw=render(item),
            stop_reason="end_turn",
            provenance=Provenance(source="gateway", generator="simulated", simulated=True),
        )
        traces.append(trace)
        truths[trace.id] = Outcome(trace_id=trace.id, value=item.truth, source="gold")
    made = curate(traces, truths, task, tmp_path_factory.mktemp("datasets"))
    return read_dataset(made.path)


@pytest.fixture(scope="session")
def examples(dataset: Dataset) -> list[Example]:
    """Eight training examples of different lengths; the third has no rationale."""
    chosen = dataset.split("train")[:8]
    chosen[2] = chosen[2].model_copy(update={"rationale": None, "weight": 0.5})
    return chosen


@pytest.fixture(scope="session")
def tokenizer(examples: list[Example]) -> PreTrainedTokenizerBase:
    texts = [text for e in examples for text in (e.input, e.rationale or "", e.answer)]
    return train_tokenizer(texts, 512)


@pytest.fixture
def tiny(tokenizer: PreTrainedTokenizerBase) -> Callable[..., PreTrainedModel]:
    """`tiny(kind, tied=..., attention=...)`: a model of two layers with grouped heads."""

    def make(
        kind: str = "qwen2", tied: bool = True, attention: str = "sdpa", seed: int = 0
    ) -> PreTrainedModel:
        register()
        torch.manual_seed(seed)
        config, model = KINDS[kind]
        made = config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=tied,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
        made._attn_implementation = attention
        built: PreTrainedModel = model(made)
        return built

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture(params=["qwen2", "llama"])
def tiny_folder(
    tiny: Callable[..., PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Path:
    """A saved model of another house, whose pad token is its end token."""
    made = tmp_path / f"base-{request.param}"
    tiny(request.param).save_pretrained(made)
    tokenizer.save_pretrained(made)
    file = made / "tokenizer_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "pad_token": config["eos_token"]}))
    return made

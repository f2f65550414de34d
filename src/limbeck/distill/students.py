"""Students before training: presets from scratch, or a causal or encoder-decoder model from a folder
or hub."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.distill.adapters import merged, quantized
from limbeck.distill.attention import NAME as BMM
from limbeck.distill.attention import register
from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import train_tokenizer
from limbeck.errors import ConfigError, StudentError
from limbeck.models.controls import CONTROLS, PAD, control_token
from limbeck.types import Noun

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Preset(Noun):
    """The shape of a Llama-type student that is trained from scratch."""

    layers: int
    width: int
    heads: int
    hidden: int


PRESETS = {
    "nano": Preset(layers=3, width=128, heads=2, hidden=384),
    "micro": Preset(layers=6, width=256, heads=4, hidden=768),
}
"""About 1 and 6 million parameters with a vocabulary of 2,048."""


def start(
    base: str, texts: Iterable[str], settings: DistillSettings, *, trust_remote_code: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model in float32 and its tokenizer, with the control tokens in place.

    `base` is the name of a preset (trained from scratch, with a tokenizer trained on `texts`), or a
    folder or hub id that `AutoModelForCausalLM` can load. Raises `StudentError`.
    """
    import torch

    register()
    torch.manual_seed(settings.seed)
    if base in PRESETS:
        if settings.tune != "full":
            raise ConfigError(
                f"tune = {settings.tune!r} adapts a pretrained student, and {base!r} is trained from "
                "scratch; leave tune = 'full', or take --student FOLDER"
            )
        return _from_scratch(PRESETS[base], texts, settings)
    return _pretrained(base, settings, trust_remote_code)


def _from_scratch(
    preset: Preset, texts: Iterable[str], settings: DistillSettings
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_tokenizer(texts, settings.vocabulary)
    # Not Qwen2: for that type transformers 5 puts rules of its own in place of the saved tokenizer's.
    config = LlamaConfig(
        # A multiple of 64 rows keeps the head's matrix product on its fast path.
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=preset.width,
        intermediate_size=preset.hidden,
        num_hidden_layers=preset.layers,
        num_attention_heads=preset.heads,
        num_key_value_heads=preset.heads,
        max_position_embeddings=max(2048, settings.max_length),
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation(BMM)
    return model, tokenizer


def _pretrained(
    base: str, settings: DistillSettings, trust_remote_code: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoTokenizer

    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    more = quantized() if settings.tune == "qlora" else {}
    try:
        config = AutoConfig.from_pretrained(base, **options)
        tokenizer = AutoTokenizer.from_pretrained(base, **options)
        model = auto_class(config.is_encoder_decoder).from_pretrained(
            base, dtype=torch.float32, use_safetensors=True, **_attention(config), **options, **more
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = (
            f"one of the presets {sorted(PRESETS)}, a folder with config.json, model.safetensors and "
            "tokenizer.json, or the id of a model on the hub"
        )
        raise StudentError(
            f"no student can be loaded from {base!r} ({reason}); wanted {hint}"
        ) from None
    if not tokenizer("yes", add_special_tokens=False)["input_ids"]:
        # Some tokenizer classes come up empty, without a word, where their files are missing.
        raise StudentError(
            f"no student can be loaded from {base!r}: its tokenizer has no vocabulary; put the "
            "model's tokenizer.json beside it"
        )
    if tokenizer.eos_token_id is None:
        raise StudentError(
            f"the tokenizer of {base!r} has no end-of-text token; set eos_token in it"
        )
    tokens = [control_token(name) for name in CONTROLS]
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # A pad token that is also the end token would never be learned as the end.
        tokenizer.add_special_tokens({"pad_token": PAD})
    tokenizer.add_special_tokens({"extra_special_tokens": tokens})
    if len(tokenizer) > model.config.vocab_size:
        model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64, mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def auto_class(is_encoder_decoder: bool) -> Any:
    """The class of transformers that loads such a model."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if is_encoder_decoder else AutoModelForCausalLM


def _attention(config: Any) -> dict[str, str]:
    # T5 adds a bias by position to its scores, for which its own way is the known one.
    return {} if config.is_encoder_decoder else {"attn_implementation": "sdpa"}


def is_scratch(base: str) -> bool:
    return base in PRESETS


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    weights: dict[str, Any],
    folder: Path,
    adapter: Path | None = None,
) -> None:
    """Writes a plain Hugging Face folder (safetensors, float32) that the Auto classes load.

    Adapters are merged into it, and kept by themselves in the folder `adapter` where one is given.
    """
    import torch

    if hasattr(model, "peft_config"):
        plain = merged(copy.deepcopy(model), weights, adapter)
    else:
        plain = copy.deepcopy(model).float()
        with torch.no_grad():
            for name, parameter in plain.named_parameters():
                if name in weights:
                    parameter.copy_(weights[name])
    if plain.config._attn_implementation in (BMM, "flex_attention"):
        plain.config._attn_implementation = "sdpa"
    plain.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def check_saved(folder: Path, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> None:
    """Holds the tokenizer that `AutoTokenizer` reads from `folder` against the one of the training.

    Raises `StudentError` where a text reads differently: the student would be asked in another
    language than it was taught.
    """
    from transformers import AutoTokenizer

    again = AutoTokenizer.from_pretrained(folder)
    for text in texts:
        wanted, got = (
            t(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            for t in (tokenizer, again)
        )
        if got != wanted:
            raise StudentError(
                f"the tokenizer saved in {str(folder)!r} reads {text[:60]!r} differently than in "
                "training, so the student could not be used; start from another model, and report this"
            )

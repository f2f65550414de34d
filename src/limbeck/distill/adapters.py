"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers of a pretrained student.

The rule for the rank: an adapter learns as well as full training as long as it has room for what the
data says ("LoRA without regret", Schulman et al. 2025), about 2 bits a parameter against about one bit
a supervised token. So the rank is the smallest power of two, from 8 to 128, that gives at least half
as many parameters as there are supervised tokens. The scale is 32 / rank, which makes the best
learning rate independent of the rank: ten times that of full training.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import EncodedTree
from limbeck.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RANKS = (8, 16, 32, 64, 128)
ALPHA = 32
FOLDER = "adapter"


def rank_for(model: PreTrainedModel, tokens: int) -> int:
    """The rank for so many supervised tokens, by the rule above."""
    import torch

    head = model.get_output_embeddings()
    a_rank = sum(
        layer.in_features + layer.out_features
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear) and layer is not head
    )
    return next((rank for rank in RANKS if rank * a_rank >= tokens / 2), RANKS[-1])


def adapt(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    trees: Sequence[EncodedTree],
    settings: DistillSettings,
) -> PreTrainedModel:
    """`model` with adapters around its linear layers; all else is frozen.

    The rows of control tokens that the base does not know are trained too: they mean nothing yet.
    Raises `MissingExtraError` without peft.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError(error.name or "peft", "train") from None
    import torch

    supervised = sum(sum(w > 0 for w in b.weights) for tree in trees for b in tree.branches)
    rank = settings.lora_rank or rank_for(model, supervised)
    torch.manual_seed(settings.seed)
    new = sorted(tokenizer.get_added_vocab().values())
    kind = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    name = next(n for n, m in model.named_modules() if m is model.get_input_embeddings())
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type=kind,
        trainable_token_indices={name.rpartition(".")[2]: new},
    )
    with warnings.catch_warnings():
        # peft asks transformers by an older name; it is theirs to change.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        made: Any = get_peft_model(model, config)
    return made  # type: ignore[no-any-return]


def merged(model: PreTrainedModel, weights: dict[str, Any], folder: Path | None) -> PreTrainedModel:
    """The adapters with these weights, folded into their model; they are kept in `folder` before."""
    import torch

    found: Any = model
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if name in weights:
                parameter.data = weights[name].to(parameter.device)
            elif parameter.is_floating_point():
                parameter.data = parameter.data.float()
    if folder is not None:
        # The trained rows of the embedding are in it anyway; asking the hub for the rest is not ours.
        found.save_pretrained(folder, save_embedding_layers=False)
    return fold(found)


def fold(model: PreTrainedModel) -> PreTrainedModel:
    """`model` without its adapters, which are added to its weights. It is changed.

    Weights of 4 bits become float32 first: what an adapter adds would be lost in their rounding.
    """
    adapted: Any = model
    packed = [
        (name, layer)
        for name, layer in adapted.named_modules()
        if hasattr(layer, "get_delta_weight") and hasattr(layer.base_layer.weight, "quant_state")
    ]
    for name, layer in packed:
        place, _, own = name.rpartition(".")
        setattr(adapted.get_submodule(place), own, _unpacked(layer))
    whole: Any = adapted.merge_and_unload()
    if packed:
        whole.config.__dict__.pop("quantization_config", None)
        whole.is_quantized, whole.hf_quantizer = False, None
    return whole  # type: ignore[no-any-return]


def _unpacked(layer: Any) -> Any:
    """A plain layer with the weights of a layer of 4 bits and of its adapter."""
    import torch
    from bitsandbytes.functional import dequantize_4bit

    base = layer.base_layer
    weight = dequantize_4bit(base.weight.data, base.weight.quant_state).float()
    plain = torch.nn.Linear(base.in_features, base.out_features, bias=base.bias is not None)
    plain.weight.data = weight + layer.get_delta_weight("default").float()
    if base.bias is not None:
        plain.bias.data = base.bias.data.float()
    return plain


def quantized() -> dict[str, Any]:
    """What loads a base in 4 bits (NF4, QLoRA, Dettmers et al. 2023, arXiv 2305.14314).

    Raises `ConfigError` where bitsandbytes is not installed.
    """
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            "tune = 'qlora' needs the module 'bitsandbytes', which is not installed; install it with: "
            "pip install bitsandbytes, or take tune = 'lora'"
        )
    import torch
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    }

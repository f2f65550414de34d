"""Where and how a model computes: device paths behind what the machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limbeck.distill.settings import DistillSettings
from limbeck.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

BLOCKS = frozenset({"llama", "qwen2", "qwen3", "mistral"})
"""Model types whose attention is known to be computed in blocks exactly."""


def prepare(model: PreTrainedModel, settings: DistillSettings, device: torch.device) -> None:
    """Sets up the model's fast paths on `device`, in place.

    Raises `ConfigError` where a path that was asked for does not exist here.
    """
    import torch

    from limbeck.distill.attention import NAME, register

    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.deterministic:
        torch.use_deterministic_algorithms(True)
    register()
    inner = plain(model)
    if settings.attention == "flex":
        if device.type != "cuda":
            raise ConfigError(
                "attention = 'flex' needs a GPU, and there is none; leave attention = 'auto'"
            )
        inner.set_attn_implementation("flex_attention")
    elif settings.attention == "sdpa" or device.type != "cpu":
        if inner.config._attn_implementation == NAME:
            inner.set_attn_implementation("sdpa")
    elif inner.config.model_type in BLOCKS:
        inner.set_attn_implementation(NAME)
    if settings.checkpointing:
        # The older name of it warns in newer versions.
        newer = getattr(inner, "activation_checkpointing_enable", None)
        (newer or inner.gradient_checkpointing_enable)({"use_reentrant": False})
        if any(not p.requires_grad for p in inner.parameters()):
            inner.enable_input_require_grads()
    if settings.compile:
        for layer in getattr(inner.get_decoder(), "layers", []):
            layer.compile()
    if device.type == "cuda":
        _liger(inner)


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """The model without the adapters around it."""
    if not hasattr(model, "peft_config"):
        return model
    adapted: Any = model
    found: PreTrainedModel = adapted.get_base_model()
    return found


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` multiplies in bfloat16 natively; elsewhere it is many times slower than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def compute_dtype(settings: DistillSettings) -> torch.dtype:
    """bfloat16 where the machine multiplies it natively, else float32."""
    import torch

    if settings.precision == "auto":
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32


def _liger(model: PreTrainedModel) -> None:
    """Fused norms, rotations and gates, where liger-kernel is installed; the loss stays ours."""
    try:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance
    except ImportError:
        return
    _apply_liger_kernel_to_instance(model, fused_linear_cross_entropy=False, cross_entropy=False)

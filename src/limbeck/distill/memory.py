"""How much memory a run will need, before its first step, and the batch that fits.

An estimate from shapes: weights, gradients, moments and copies are exact; what a layer keeps for its
backward pass is counted from the operations of a Llama-type layer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.distill.settings import DistillSettings
from limbeck.errors import PreflightError
from limbeck.types import Noun

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

SMALLEST = 256
"""Tokens at once below which a run is refused rather than made smaller still."""


class Need(Noun):
    """Bytes: what the run holds all the time, and what each token at once adds to it."""

    fixed: int
    token: int
    micro_tokens: int

    @property
    def total(self) -> int:
        return self.fixed + self.token * self.micro_tokens


def need(
    model: PreTrainedModel,
    settings: DistillSettings,
    dtype: torch.dtype,
    *,
    longest: int,
    copies: int,
    shards: int = 1,
) -> Need:
    """What training `model` needs on rows of up to `longest` tokens.

    `copies` counts float32 copies beside the training: one that is evaluated, one that is the best.
    `shards` is the number of processes that the weights are cut over.
    """
    everything = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    width = dtype.itemsize
    held = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    # Weights that compute, their gradients, float32 masters with two moments and a gradient.
    fixed = held + trained * (2 * width + (16 if width < 4 else 8)) + 4 * everything * copies
    if shards > 1:
        # Gathered at once: what stands outside the layers, and a layer and the next, with gradients.
        embedding: Any = model.get_input_embeddings()
        table = 2 * embedding.weight.numel()
        layer = everything // getattr(model.config, "num_hidden_layers", 12)
        fixed = fixed // shards + 2 * width * (table + 2 * layer)
    return Need(
        fixed=fixed,
        token=_token(model.config, width, longest, settings.checkpointing),
        micro_tokens=settings.micro_tokens,
    )


def fit(wanted: Need, free: int, settings: DistillSettings, longest: int) -> int:
    """The largest `micro_tokens`, halved as often as must be, that fits into `free` bytes.

    Raises `PreflightError` where not even the longest row does.
    """
    room = round(free * settings.memory_share)
    tokens = wanted.micro_tokens
    least = max(SMALLEST, longest)
    while tokens > least and wanted.fixed + wanted.token * tokens > room:
        tokens = max(least, tokens // 2)
    short = wanted.fixed + wanted.token * max(least, tokens)
    if tokens <= least and short > room:
        raise PreflightError(
            f"training needs about {short / 1e9:.1f} GB at the least, and {room / 1e9:.1f} GB may be "
            f"used ({settings.memory_share:.0%} of what is free); take a smaller student, "
            "tune=lora, checkpointing=true or a smaller max_length"
        )
    return tokens


def free_bytes(device: torch.device) -> int | None:
    """Memory that a run on `device` could still take; None where the system does not say."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        import psutil
    except ImportError:
        return None
    free = int(psutil.virtual_memory().available)
    # A container may be allowed less than the machine has.
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):
        return free
    return min(free, limit - used)


def _token(config: Any, width: int, longest: int, checkpointing: bool) -> int:
    layers = getattr(config, "num_hidden_layers", 12)
    hidden = getattr(config, "hidden_size", 768)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    heads = getattr(config, "num_attention_heads", 12)
    # Norms are kept in float32; queries, keys and values before and after rotation; the gate and the
    # product of the inner layer; scores and shares of attention.
    layer = 16 * hidden + width * (12 * hidden + 4 * inner + 2 * heads * longest)
    kept = layers * hidden * width + layer if checkpointing else layers * layer
    # Logits, their float32 copy, log-probabilities and gradient, if every token were supervised.
    return int(kept + config.vocab_size * (width * 2 + 8))

"""The weighted loss of a batch, with the language-model head on supervised positions only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from limbeck.distill import by_hand
from limbeck.distill.attention import NAME as BMM
from limbeck.distill.compute import plain
from limbeck.distill.pairs import Pairs, pair, pair_pieces, pair_rows
from limbeck.distill.rows import Batch, Row, collate, concatenate, micro_batches, rows_of
from limbeck.distill.tokens import EncodedTree
from limbeck.types import Role

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PLAIN_HEAD = frozenset({"llama", "qwen2", "qwen3", "mistral"})
"""Model types whose logits are the head applied to the last hidden state and nothing else. Others
(soft-capped, scaled) go through their own forward pass on the supervised columns."""

Packed = Batch | Pairs


@dataclass(frozen=True)
class Loss:
    """`value` = Σ weight · −log p / `norm`; the parts are plain sums for the display, in nats."""

    value: torch.Tensor
    by_role: dict[Role, tuple[float, int]]


def rows_for(model: PreTrainedModel, trees: Sequence[EncodedTree], layout: str) -> list[Row]:
    """The rows of a step in the layout that suits the model; an encoder's prompt is always shared."""
    if model.config.is_encoder_decoder:
        return pair_rows(trees)
    window = getattr(model.config, "sliding_window", None)
    if window is not None and max(tree.tokens for tree in trees) > window:
        # The model hides what is out of its window by itself, but only in rows of its own making.
        layout = "plain"
    elif layout == "auto" and in_blocks(model, 0):
        # In blocks a branch pays nothing for its sisters, so that sharing never costs more.
        layout = "tree"
    return rows_of(trees, layout)


def pack(model: PreTrainedModel, rows: Sequence[Row], tokens: int, pad: int) -> list[Packed]:
    """The batches of a step, none of more than `tokens`."""
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        return [pair(piece, pad, start) for piece in pair_pieces(rows, tokens)]
    if in_blocks(model, max(len(row.ids) for row in rows)):
        return [concatenate(piece) for piece in micro_batches(rows, tokens, padded=False)]
    return [collate(piece, pad) for piece in micro_batches(rows, tokens)]


def in_blocks(model: PreTrainedModel, longest: int) -> bool:
    """Whether `model` computes attention in blocks for rows of up to `longest` tokens: it looks its
    attention up under our name, and no token is hidden from it by a window."""
    window = getattr(model.config, "sliding_window", None)
    return (
        model.config._attn_implementation == BMM
        and model.config.model_type in PLAIN_HEAD
        and (window is None or longest <= window)
    )


def supervised_logits(model: PreTrainedModel, batch: Packed, dtype: torch.dtype) -> torch.Tensor:
    """Logits (S, V) at the positions from which supervised tokens are predicted."""
    inner = plain(model)
    if isinstance(batch, Pairs):
        return batch.logits(inner)
    inputs: dict[str, Any] = {
        "input_ids": batch.ids,
        "position_ids": batch.positions,
        "attention_mask": _mask(inner, batch, dtype),
        "use_cache": False,
    }
    if batch.blocks is not None:
        inputs["blocks"] = batch.blocks
    if inner.config.model_type in PLAIN_HEAD:
        hidden = inner.get_decoder()(**inputs).last_hidden_state  # (B, T, D)
        picked = hidden.reshape(-1, hidden.shape[-1])[batch.sources]  # (S, D)
        logits = inner.get_output_embeddings()(picked)
        return torch.as_tensor(logits)
    length = batch.ids.shape[1]
    columns = torch.unique(batch.sources % length)
    logits = inner(**inputs, logits_to_keep=columns).logits  # (B, C, V)
    row, column = batch.sources // length, torch.searchsorted(columns, batch.sources % length)
    return torch.as_tensor(logits[row, column])


def batch_loss(model: PreTrainedModel, batch: Packed, norm: float, dtype: torch.dtype) -> Loss:
    """The loss of one batch, divided by `norm` (the summed weight of the whole step)."""
    if isinstance(batch, Batch) and batch.blocks is not None and by_hand.possible(model):
        value, each = by_hand.loss(
            model,
            batch.ids,
            batch.positions,
            batch.blocks,
            batch.sources,
            batch.labels,
            batch.weights / norm,
        )
    else:
        logits = supervised_logits(model, batch, dtype).float()
        each = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")  # (S,)
        value = (each * batch.weights).sum() / norm
    by_role: dict[Role, tuple[float, int]] = {}
    detached = each.detach().tolist()
    for role, nats in zip(batch.roles, detached, strict=True):
        total, count = by_role.get(role, (0.0, 0))
        by_role[role] = (total + nats, count + 1)
    return Loss(value=value, by_role=by_role)


def _mask(model: PreTrainedModel, batch: Batch, dtype: torch.dtype) -> Any:
    if batch.blocks is not None:
        # A mask of four dimensions is passed on as it is, so that none is computed.
        return batch.weights.new_zeros(1, 1, 1, 1)
    if model.config._attn_implementation == "flex_attention" and batch.segments is not None:
        return _flex_mask(batch.segments)
    return batch.mask(dtype)


def _flex_mask(segments: torch.Tensor) -> Any:
    """The tree's mask for FlexAttention, (B, T) segments: blocks that are hidden whole are skipped."""
    from torch.nn.attention.flex_attention import create_block_mask

    def seen(b: Any, h: Any, q: Any, kv: Any) -> Any:
        return (q >= kv) & ((segments[b, q] == segments[b, kv]) | (segments[b, kv] == 0))

    size, length = segments.shape
    return create_block_mask(seen, size, None, length, length, device=segments.device)

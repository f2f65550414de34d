"""The weighted loss of a batch, with the language-model head on supervised positions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from limbeck.distill.rows import Batch
from limbeck.types import Role

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PLAIN_HEAD = frozenset({"llama", "qwen2", "qwen3", "mistral"})
"""Model types whose logits are the head applied to the last hidden state and nothing else. Others
(soft-capped, scaled) go through their own forward pass on the supervised columns."""


@dataclass(frozen=True)
class Loss:
    """`value` = Σ weight · −log p / `norm`; the parts are plain sums for the display, in nats."""

    value: torch.Tensor
    by_role: dict[Role, tuple[float, int]]


def supervised_logits(model: PreTrainedModel, batch: Batch, dtype: torch.dtype) -> torch.Tensor:
    """Logits (S, V) at the positions from which supervised tokens are predicted."""
    inputs = {
        "input_ids": batch.ids,
        "position_ids": batch.positions,
        "attention_mask": batch.mask(dtype),
        "use_cache": False,
    }
    if model.config.model_type in PLAIN_HEAD:
        hidden = model.get_decoder()(**inputs).last_hidden_state  # (B, T, D)
        picked = hidden.reshape(-1, hidden.shape[-1])[batch.sources]  # (S, D)
        logits = model.get_output_embeddings()(picked)
        return torch.as_tensor(logits)
    length = batch.ids.shape[1]
    columns = torch.unique(batch.sources % length)
    logits = model(**inputs, logits_to_keep=columns).logits  # (B, C, V)
    row, column = batch.sources // length, torch.searchsorted(columns, batch.sources % length)
    return torch.as_tensor(logits[row, column])


def batch_loss(model: PreTrainedModel, batch: Batch, norm: float, dtype: torch.dtype) -> Loss:
    """The loss of one batch, divided by `norm` (the summed weight of the whole step)."""
    logits = supervised_logits(model, batch, dtype).float()
    each = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")  # (S,)
    value = (each * batch.weights).sum() / norm
    by_role: dict[Role, tuple[float, int]] = {}
    detached = each.detach().tolist()
    for role, nats in zip(batch.roles, detached, strict=True):
        total, count = by_role.get(role, (0.0, 0))
        by_role[role] = (total + nats, count + 1)
    return Loss(value=value, by_role=by_role)

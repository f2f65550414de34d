"""Batches for encoder-decoders: a prompt goes through the encoder once for all its branches.

The decoder begins with the model's start token and the control token, so the input that the encoder
reads is the same for every branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from limbeck.distill.rows import Row, tree_row
from limbeck.distill.tokens import EncodedTree
from limbeck.types import Role

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Pairs:
    """B prompts of at most P tokens, N branches of at most T tokens, S supervised tokens in all."""

    prompts: torch.Tensor  # (B, P)
    seen: torch.Tensor  # (B, P), 1 where a prompt's place is no padding
    owner: torch.Tensor  # (N,): which prompt a branch belongs to
    ids: torch.Tensor  # (N, T): what the decoder reads, from its start token on
    sources: torch.Tensor  # (S,) into the flattened N * T
    labels: torch.Tensor  # (S,)
    weights: torch.Tensor  # (S,)
    roles: list[Role]

    def to(self, device: torch.device) -> Pairs:
        """The same batch with its tensors on `device`."""
        names = ("prompts", "seen", "owner", "ids", "sources", "labels", "weights")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def logits(self, model: PreTrainedModel) -> torch.Tensor:
        """Logits (S, V) of a T5-type model, its head on supervised positions only."""
        states = model.get_encoder()(
            input_ids=self.prompts, attention_mask=self.seen
        ).last_hidden_state
        hidden = model.get_decoder()(
            input_ids=self.ids,
            encoder_hidden_states=states[self.owner],
            encoder_attention_mask=self.seen[self.owner],
            use_cache=False,
        ).last_hidden_state
        picked = hidden.reshape(-1, hidden.shape[-1])[self.sources]
        if scaled(model):
            picked = picked * model.config.d_model**-0.5
        return torch.as_tensor(model.get_output_embeddings()(picked))


def scaled(model: PreTrainedModel) -> bool:
    """Whether a T5 scales what its head reads: those whose head is the embedding do."""
    config = model.config
    return bool(getattr(config, "scale_decoder_outputs", config.tie_word_embeddings))


def pair_rows(trees: Sequence[EncodedTree]) -> list[Row]:
    """One row a tree; its branches are taken apart again when it becomes a batch."""
    return [tree_row(tree, tree.branches) for tree in trees]


def pair_pieces(rows: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    """Cuts the rows of a step so that no piece exceeds `tokens`, without its padding."""
    piece: list[Row] = []
    total = 0
    for row in sorted(rows, key=lambda row: len(row.ids)):
        total += len(row.ids)
        if piece and total > tokens:
            yield piece
            piece, total = [], len(row.ids)
        piece.append(row)
    if piece:
        yield piece


def pair(rows: Sequence[Row], pad: int, start: int) -> Pairs:
    """The batch of these rows; `start` is the decoder's first token."""
    prompts: list[list[int]] = []
    branches: list[list[int]] = []
    owner: list[int] = []
    places: dict[tuple[int, int], tuple[int, int]] = {}
    for number, row in enumerate(rows):
        read = [i for i, segment in zip(row.ids, row.segments, strict=True) if segment == 0]
        prompts.append(read)
        for at, segment in enumerate(row.segments):
            if segment == 0:
                continue
            if at == 0 or row.segments[at - 1] != segment:
                branches.append([start])
                owner.append(number)
            # The token before a target predicts it, and the start token predicts the first.
            places[number, at] = (len(branches) - 1, len(branches[-1]) - 1)
            branches[-1].append(row.ids[at])
    read_ids, seen = _padded(prompts, pad)
    ids, _ = _padded([branch[:-1] for branch in branches], pad)
    width = ids.shape[1]
    targets = [(number, at) for number, row in enumerate(rows) for at in row.targets]
    sources = [places[target][0] * width + places[target][1] for target in targets]
    return Pairs(
        prompts=read_ids,
        seen=seen,
        owner=torch.tensor(owner, dtype=torch.long),
        ids=ids,
        sources=torch.tensor(sources, dtype=torch.long),
        labels=torch.tensor([rows[n].ids[at] for n, at in targets], dtype=torch.long),
        weights=torch.tensor([w for row in rows for w in row.weights], dtype=torch.float32),
        roles=[role for row in rows for role in row.roles],
    )


def _padded(texts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(text) for text in texts)
    ids = np.full((len(texts), width), pad, dtype=np.int64)
    seen = np.zeros((len(texts), width), dtype=np.int64)
    for number, text in enumerate(texts):
        ids[number, : len(text)] = text
        seen[number, : len(text)] = 1
    return torch.from_numpy(ids), torch.from_numpy(seen)

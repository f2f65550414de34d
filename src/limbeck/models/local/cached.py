"""Rows of any decoder that transformers can run, over its own cache: the way that always works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from limbeck.models.local.rows import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CachedRows:
    """Rows of a causal language model; `fill` stands where a row has no token."""

    def __init__(self, model: PreTrainedModel, fill: int) -> None:
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        self._model = model
        self._fill = fill
        self._cache: Any = None
        self._seen = torch.zeros(0, 0, dtype=torch.long, device=model.device)  # (B, S)
        empty = DynamicCache(config=model.config)
        # A sliding window or a state of another kind cannot be shifted under a row's feet.
        self.joinable = all(type(layer) is DynamicLayer for layer in empty.layers)

    def join(self, prompts: Sequence[Prompt], tokens: torch.Tensor | None = None) -> torch.Tensor:
        from transformers import DynamicCache

        if tokens is not None:
            stepped = self.step(tokens)
            return torch.cat([stepped, self.join(prompts)])
        rows = [prompt.ids for prompt in prompts]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self._fill, dtype=torch.long)
        for row, prompt in enumerate(rows):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
        lengths = torch.tensor([len(prompt) for prompt in rows])
        seen = (torch.arange(width)[None] >= (width - lengths)[:, None]).long()
        seen = seen.to(self._model.device)
        cache = DynamicCache(config=self._model.config)
        positions = (seen.cumsum(-1) - 1).clamp(min=0)
        logits = self._run(ids.to(self._model.device), seen, positions, cache, last=True)[:, -1]
        if not len(self._seen):
            self._cache, self._seen = cache, seen
        else:
            self._merge(cache, seen)
        return logits

    def _run(
        self,
        ids: torch.Tensor,
        seen: torch.Tensor,
        positions: torch.Tensor,
        cache: Any,
        *,
        last: bool = False,
    ) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            input_ids=ids,
            attention_mask=seen,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1 if last else 0,
        ).logits
        return logits

    def _merge(self, cache: Any, seen: torch.Tensor) -> None:
        assert self.joinable
        width = max(seen.shape[1], self._seen.shape[1])
        self._seen = torch.cat([_ending_at(width, one, 1) for one in (self._seen, seen)])
        for layer, more in zip(self._cache.layers, cache.layers, strict=True):
            layer.keys = torch.cat([_ending_at(width, one.keys, 2) for one in (layer, more)])
            layer.values = torch.cat([_ending_at(width, one.values, 2) for one in (layer, more)])

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._read(tokens[:, None], last=True)[:, -1]

    def extend(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._read(tokens, last=False)

    def _read(self, tokens: torch.Tensor, *, last: bool) -> torch.Tensor:
        # A row's position is the number of its tokens so far, wherever its column is.
        ahead = torch.arange(tokens.shape[1], device=tokens.device)
        positions = self._seen.sum(-1, keepdim=True) + ahead
        self._seen = pad(self._seen, (0, tokens.shape[1]), value=1)
        return self._run(tokens, self._seen, positions, self._cache, last=last)

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, dtype=torch.long, device=self._seen.device)
        self._cache.batch_select_indices(index)
        self._seen = self._seen[index]
        if not self.joinable or not len(self._seen):
            return
        # Columns that only rows that have left looked at.
        unused = int(self._seen.argmax(dim=1).min())
        if unused:
            self._seen = self._seen[:, unused:]
            for layer in self._cache.layers:
                layer.keys = layer.keys[:, :, unused:]
                layer.values = layer.values[:, :, unused:]


def _ending_at(width: int, tensor: torch.Tensor, dim: int) -> torch.Tensor:
    """`tensor` with zeros before it, so that it is `width` long in `dim`."""
    missing = width - tensor.shape[dim]
    if not missing:
        return tensor
    behind = 2 * (tensor.dim() - 1 - dim)
    return pad(tensor, [0] * behind + [missing, 0])

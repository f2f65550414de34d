"""Rows of a T5-type encoder-decoder: the input is encoded once, whatever is written after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from limbeck.models.local.rows import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class PairedRows:
    """Rows whose decoders begin with the start token and `Prompt.begin`.

    A shorter beginning has a gap before it, which is right where positions are relative, as in T5.
    """

    joinable = False

    def __init__(self, model: PreTrainedModel, fill: int) -> None:
        self._model = model
        self._fill = fill
        self._start = int(model.config.decoder_start_token_id)
        self._cache: Any = None

    def join(self, prompts: Sequence[Prompt], tokens: torch.Tensor | None = None) -> torch.Tensor:
        assert tokens is None
        from transformers import DynamicCache, EncoderDecoderCache
        from transformers.modeling_outputs import BaseModelOutput

        device = self._model.device
        ids, self._read = _padded([prompt.input or (self._fill,) for prompt in prompts], self._fill)
        encoder: Any = self._model.get_encoder()
        found = encoder(input_ids=ids.to(device), attention_mask=self._read.to(device))
        self._read = self._read.to(device)
        self._encoded = BaseModelOutput(last_hidden_state=found.last_hidden_state)
        begin = [(self._start, *prompt.begin) for prompt in prompts]
        # What is turned around, padded behind and turned back is padded before.
        words, seen = _padded([one[::-1] for one in begin], self._fill)
        self._seen = seen.flip(1).to(device)
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        return self._decode(words.flip(1).to(device))[:, -1]

    def _decode(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            encoder_outputs=self._encoded,
            attention_mask=self._read,
            decoder_input_ids=tokens,
            decoder_attention_mask=self._seen,
            past_key_values=self._cache,
            use_cache=True,
        ).logits
        return logits

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.extend(tokens[:, None])[:, -1]

    def extend(self, tokens: torch.Tensor) -> torch.Tensor:
        self._seen = pad(self._seen, (0, tokens.shape[1]), value=1)
        return self._decode(tokens)

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, dtype=torch.long, device=self._seen.device)
        self._cache.batch_select_indices(index)
        states = self._encoded.last_hidden_state
        assert states is not None
        self._encoded.last_hidden_state = states[index]
        self._read, self._seen = self._read[index], self._seen[index]


def _padded(rows: Sequence[Sequence[int]], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (B, T), filled up behind, and where they are ids."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), fill, dtype=torch.long)
    for row, one in enumerate(rows):
        ids[row, : len(one)] = torch.tensor(one, dtype=torch.long)
    lengths = torch.tensor([len(one) for one in rows])
    return ids, (torch.arange(width)[None] < lengths[:, None]).long()

"""Where the tokens of a batch stand when attention is computed in blocks.

The rows of a batch are laid end to end in one row without any padding, so that the matrix products
of the layers compute nothing in vain. For attention, and only there, tokens are gathered into two
padded blocks: prompts, which see themselves, and branches, each of which sees its prompt and itself.
The products of a branch with its sisters, most of a dense mask, are never computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Blocks:
    """B prompts of at most P tokens; n branches of at most L tokens after each; T tokens in all."""

    prompts: torch.Tensor  # (B * P,) into the T tokens; a place that is padding holds 0
    branches: torch.Tensor  # (B * n * L,)
    back: torch.Tensor  # (T,) into the B * P + B * n * L places
    padding: torch.Tensor  # (B, 1, P) True where a prompt's place is padding
    shape: tuple[int, int, int, int]  # B, P, n, L
    lengths: Sequence[tuple[int, Sequence[int]]]  # of each row: its prompt's and its branches'

    def to(self, device: torch.device) -> Blocks:
        """The same blocks with their tensors on `device`."""
        return replace(
            self,
            prompts=self.prompts.to(device),
            branches=self.branches.to(device),
            back=self.back.to(device),
            padding=self.padding.to(device),
        )


def blocks_of(lengths: Sequence[tuple[int, Sequence[int]]]) -> Blocks:
    """Blocks of rows that are laid end to end; a row is its prompt's length and its branches'.

    A row of a single branch is one causal text, so it may be given as a prompt without branches.
    """
    rows = len(lengths)
    longest = max(prompt for prompt, _ in lengths)
    many = max(len(branches) for _, branches in lengths)
    wide = max((length for _, branches in lengths for length in branches), default=0)
    prompts = np.zeros((rows, longest), dtype=np.int64)
    branching = np.zeros((rows, many, wide), dtype=np.int64)
    padding = np.ones((rows, 1, longest), dtype=bool)
    back: list[np.ndarray[Any, Any]] = []
    at = 0
    for row, (prompt, branches) in enumerate(lengths):
        prompts[row, :prompt] = np.arange(at, at + prompt)
        padding[row, 0, :prompt] = False
        back.append(np.arange(row * longest, row * longest + prompt))
        at += prompt
        for number, length in enumerate(branches):
            branching[row, number, :length] = np.arange(at, at + length)
            place = rows * longest + (row * many + number) * wide
            back.append(np.arange(place, place + length))
            at += length
    return Blocks(
        prompts=torch.from_numpy(prompts.reshape(-1)),
        branches=torch.from_numpy(branching.reshape(-1)),
        back=torch.from_numpy(np.concatenate(back)),
        padding=torch.from_numpy(padding),
        shape=(rows, longest, many, wide),
        lengths=tuple(lengths),
    )


class _Gather(torch.autograd.Function):
    """Its backward pass is a gather as well: a sum over places, which the library would take, is slow
    in bfloat16, and every token stands in one place only."""

    @staticmethod
    def forward(
        context: Any, flat: torch.Tensor, blocks: Blocks
    ) -> tuple[torch.Tensor, torch.Tensor]:
        context.blocks = blocks
        return flat.index_select(1, blocks.prompts), flat.index_select(1, blocks.branches)

    @staticmethod
    def backward(context: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.cat(grads, dim=1).index_select(1, context.blocks.back), None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, prompts: torch.Tensor, branches: torch.Tensor, blocks: Blocks
    ) -> torch.Tensor:
        context.blocks = blocks
        return torch.cat([prompts, branches], dim=1).index_select(1, blocks.back)

    @staticmethod
    def backward(context: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        (grad,), blocks = grads, context.blocks
        rows, longest, many, wide = blocks.shape
        places = grad.new_zeros(grad.shape[0], rows * (longest + many * wide), grad.shape[2])
        places.index_copy_(1, blocks.back, grad)
        split = rows * longest
        return places[:, :split], places[:, split:], None


def gather(flat: torch.Tensor, blocks: Blocks) -> tuple[torch.Tensor, torch.Tensor]:
    """(H, T, D) -> prompts (H, B * P, D) and branches (H, B * n * L, D)."""
    prompts, branches = _Gather.apply(flat, blocks)  # type: ignore[no-untyped-call]  # torch's own
    return prompts, branches


def scatter(prompts: torch.Tensor, branches: torch.Tensor, blocks: Blocks) -> torch.Tensor:
    """The way back to (H, T, D); padding is dropped."""
    flat: torch.Tensor = _Scatter.apply(prompts, branches, blocks)  # type: ignore[no-untyped-call]  # as above
    return flat

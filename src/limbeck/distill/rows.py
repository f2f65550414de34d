"""Rows of a batch: how trees become tensors.

In the `tree` layout a row is `prompt, branch, branch, ...`; in the `plain` layout it is `prompt,
branch`, and a tree gives one row for each branch. Positions restart after the prompt, and a token
attends to the prompt and to what came before it in its own branch, so both layouts are the same
computation (a parity test keeps it so).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.types import Role


@dataclass(frozen=True)
class Row:
    """One row before padding. `segment` is 0 in the prompt and counts the branches from 1."""

    ids: list[int]
    positions: list[int]
    segments: list[int]
    targets: list[int]
    """Index, in this row, of each supervised token; it is predicted from `sources`."""
    sources: list[int]
    weights: list[float]
    roles: list[Role]


@dataclass(frozen=True)
class Batch:
    """Padded rows: B rows of at most T tokens, S supervised tokens in all.

    `mask` is None where plain causal attention is right (one branch a row, padded on the right);
    else it is additive, (B, 1, T, T), 0 where a token may look and the lowest number elsewhere.
    """

    ids: torch.Tensor  # (B, T)
    positions: torch.Tensor  # (B, T)
    segments: torch.Tensor | None  # (B, T)
    sources: torch.Tensor  # (S,) into the flattened B * T: where a supervised token is predicted
    labels: torch.Tensor  # (S,)
    weights: torch.Tensor  # (S,)
    roles: list[Role] = field(default_factory=list)

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`."""
        return replace(
            self,
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            segments=None if self.segments is None else self.segments.to(device),
            sources=self.sources.to(device),
            labels=self.labels.to(device),
            weights=self.weights.to(device),
        )

    def mask(self, dtype: torch.dtype) -> torch.Tensor | None:
        if self.segments is None:
            return None
        segment = self.segments
        length = segment.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=segment.device).tril()
        same = segment[:, :, None] == segment[:, None, :]  # (B, T, T)
        prompt = (segment == 0)[:, None, :]
        allowed = causal & (same | prompt)
        mask = torch.zeros(allowed.shape, dtype=dtype, device=segment.device)
        return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]


def tree_row(tree: EncodedTree, branches: Sequence[EncodedBranch]) -> Row:
    """The row of a prompt and the given branches of it.

    The first token of a branch is predicted from the last token of the prompt, every other from the
    token before it; a token of weight 0 (a control token that is given) is not predicted.
    """
    ids, positions, segments = (
        list(tree.prompt),
        list(range(len(tree.prompt))),
        [0] * len(tree.prompt),
    )
    targets: list[int] = []
    sources: list[int] = []
    weights: list[float] = []
    roles: list[Role] = []
    for number, branch in enumerate(branches, start=1):
        start = len(ids)
        ids += branch.ids
        positions += range(len(tree.prompt), len(tree.prompt) + len(branch.ids))
        segments += [number] * len(branch.ids)
        for offset, (weight, role) in enumerate(zip(branch.weights, branch.roles, strict=True)):
            if weight:
                targets.append(start + offset)
                sources.append(start + offset - 1 if offset else len(tree.prompt) - 1)
                weights.append(weight * tree.weight)
                roles.append(role)
    return Row(ids, positions, segments, targets, sources, weights, roles)


def rows_of(trees: Sequence[EncodedTree], layout: str) -> list[Row]:
    if layout == "tree":
        return [tree_row(tree, tree.branches) for tree in trees]
    return [tree_row(tree, [branch]) for tree in trees for branch in tree.branches]


def collate(rows: Sequence[Row], pad: int) -> Batch:
    """Pads rows on the right to the longest of them."""
    length = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), length), pad, dtype=np.int64)
    positions = np.zeros((len(rows), length), dtype=np.int64)
    segments = np.full((len(rows), length), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = row.ids
        positions[number, : len(row.ids)] = row.positions
        segments[number, : len(row.ids)] = row.segments
    sources = [number * length + at for number, row in enumerate(rows) for at in row.sources]
    labels = [row.ids[at] for row in rows for at in row.targets]
    branching = bool((segments > 1).any())
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        segments=torch.from_numpy(segments) if branching else None,
        sources=torch.tensor(sources, dtype=torch.long),
        labels=torch.tensor(labels, dtype=torch.long),
        weights=torch.tensor([w for row in rows for w in row.weights], dtype=torch.float32),
        roles=[role for row in rows for role in row.roles],
    )


def schedule(lengths: Sequence[int], batch: int, steps: int, seed: int) -> Iterator[list[int]]:
    """Which trees go into which step: `steps` lists of `batch` indices, a function of its arguments.

    Every tree is seen once an epoch. Within a window of sixteen steps trees are sorted by length, so
    that a step pads little; the steps of a window come in random order.
    """
    random = np.random.default_rng(seed)
    size = min(batch, len(lengths))
    queue: list[int] = []
    done = 0
    while done < steps:
        while len(queue) < size * 16:
            queue += random.permutation(len(lengths)).tolist()
        window, queue = queue[: size * 16], queue[size * 16 :]
        window.sort(key=lambda index: lengths[index])
        groups = [window[at : at + size] for at in range(0, len(window), size)]
        for at in random.permutation(len(groups)).tolist():
            if done == steps:
                return
            yield groups[at]
            done += 1


def micro_batches(rows: Sequence[Row], tokens: int) -> Iterator[list[Row]]:
    """Cuts the rows of a step so that no piece exceeds `tokens` with its padding."""
    piece: list[Row] = []
    longest = 0
    for row in sorted(rows, key=lambda row: len(row.ids)):
        longest = max(longest, len(row.ids))
        if piece and longest * (len(piece) + 1) > tokens:
            yield piece
            piece = []
            longest = len(row.ids)
        piece.append(row)
    if piece:
        yield piece

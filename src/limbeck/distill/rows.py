"""Rows of a batch: how trees become tensors.

In the `tree` layout a row is `prompt, branch, branch, ...`; in the `plain` layout it is `prompt,
branch`, and a tree gives one row for each branch. Positions restart after the prompt, and a token
attends to the prompt and to what came before it in its own branch, so both layouts are the same
computation (a parity test keeps it so). `auto` puts as many branches into a row as is estimated to
cost least: one where they are long beside their prompt, all where the prompt is long.

Rows become a batch either padded to the longest of them, with a mask that any model takes, or end to
end without padding, for the attention in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from limbeck.distill.blocks import Blocks, blocks_of
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.types import Role

SPAN = 400.0
"""Tokens of attention that cost as much as the rest of a layer, for `cost`: measured on a processor
with a layer of 256."""


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

    @property
    def lengths(self) -> tuple[int, list[int]]:
        """Of the prompt and of each branch; a single branch continues its prompt as one text."""
        counts = np.bincount(self.segments).tolist()
        return (len(self.ids), []) if len(counts) < 3 else (counts[0], counts[1:])


@dataclass(frozen=True)
class Batch:
    """B rows of at most T tokens, S supervised tokens in all.

    With `blocks`, B is 1: the rows stand end to end. Else they are padded, and
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
    blocks: Blocks | None = None

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
            blocks=None if self.blocks is None else self.blocks.to(device),
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


def rows_of(trees: Sequence[EncodedTree], layout: str, span: float = SPAN) -> list[Row]:
    """The rows of `trees` in a layout: `tree`, `plain` or `auto`; for `span` see `cost`."""
    rows: list[Row] = []
    for tree in trees:
        many = {"tree": len(tree.branches), "plain": 1}.get(layout) or share(tree, span)
        groups = (tree.branches[at : at + many] for at in range(0, len(tree.branches), many))
        rows.extend(tree_row(tree, group) for group in groups)
    return rows


def share(tree: EncodedTree, span: float = SPAN) -> int:
    """How many branches of a tree should stand in one row: what is estimated to cost least."""
    prompt, lengths = len(tree.prompt), [len(branch.ids) for branch in tree.branches]

    def total(many: int) -> float:
        groups = (lengths[at : at + many] for at in range(0, len(lengths), many))
        return sum(cost(prompt, group, span) for group in groups)

    return min(range(len(lengths), 0, -1), key=total)


def cost(prompt: int, branches: Sequence[int], span: float = SPAN) -> float:
    """What a row costs, in tokens that go through the layers without attention.

    Attention to `span` tokens costs as much as all else that is done with a token. Where it is dense,
    a branch also pays for its sisters, which the mask then hides.
    """
    length = prompt + sum(branches)
    return length + length * length / span


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
    branching = bool((segments > 1).any())
    return _batch(
        rows,
        ids,
        positions,
        starts=[number * length for number in range(len(rows))],
        segments=torch.from_numpy(segments) if branching else None,
    )


def concatenate(rows: Sequence[Row]) -> Batch:
    """Lays rows end to end; only attention in blocks keeps them apart."""
    starts = np.cumsum([0, *(len(row.ids) for row in rows)]).tolist()
    return _batch(
        rows,
        np.concatenate([row.ids for row in rows])[None],
        np.concatenate([row.positions for row in rows])[None],
        starts=starts[:-1],
        blocks=blocks_of([row.lengths for row in rows]),
    )


def _batch(
    rows: Sequence[Row],
    ids: np.ndarray[Any, Any],
    positions: np.ndarray[Any, Any],
    *,
    starts: Sequence[int],
    segments: torch.Tensor | None = None,
    blocks: Blocks | None = None,
) -> Batch:
    sources = [start + at for start, row in zip(starts, rows, strict=True) for at in row.sources]
    labels = [row.ids[at] for row in rows for at in row.targets]
    return Batch(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        segments=segments,
        sources=torch.tensor(sources, dtype=torch.long),
        labels=torch.tensor(labels, dtype=torch.long),
        weights=torch.tensor([w for row in rows for w in row.weights], dtype=torch.float32),
        roles=[role for row in rows for role in row.roles],
        blocks=blocks,
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


def micro_batches(rows: Sequence[Row], tokens: int, *, padded: bool = True) -> Iterator[list[Row]]:
    """Cuts the rows of a step so that no piece exceeds `tokens`, with its padding where it has any."""
    piece: list[Row] = []
    longest = total = 0
    for row in sorted(rows, key=lambda row: len(row.ids)):
        longest, total = max(longest, len(row.ids)), total + len(row.ids)
        if piece and (longest * (len(piece) + 1) if padded else total) > tokens:
            yield piece
            piece = []
            longest = total = len(row.ids)
        piece.append(row)
    if piece:
        yield piece

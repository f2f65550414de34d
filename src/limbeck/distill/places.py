"""Where every head of every token stands while attention is computed, for layers that are written out
by hand: one list of places brings a layer's queries, keys and values into blocks, one brings their
gradients back.

A row is a text (its prompt, or the whole of it where a single branch follows) and the branches that
see that text. The last layer answers only for tokens from which something is predicted: the queries of
the others, and all that would follow from them, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck.distill.attention import causal

Ints = np.ndarray[Any, np.dtype[np.int64]]
Lengths = Sequence[tuple[int, Sequence[int]]]
"""Of each row: the tokens of its text and those of its branches."""


@dataclass(frozen=True)
class Heads:
    """Of an attention: H = kv * group heads of queries, each of 2 * half numbers."""

    kv: int
    group: int
    half: int

    @property
    def turned(self) -> int:
        """Heads that know positions: those of queries and keys."""
        return self.kv * (self.group + 1)

    @property
    def all(self) -> int:
        return self.kv * (self.group + 2)


@dataclass(frozen=True)
class Places:
    """B rows; Q queries and S keys of a text; n branches of L tokens after each; T tokens in all.

    Half a head is the unit of what is gathered: rotation of positions keeps halves apart.
    """

    heads: Heads
    shape: tuple[int, int, int, int, int]  # B, Q, S, n, L
    units: torch.Tensor  # (U,) into T * 2 * all: text q, k, v; branches q, k, v
    back: torch.Tensor  # (T * 2 * all,) into U + 1; the last holds zeros
    said: torch.Tensor  # (T' * H,) into the outputs: of texts, of branches
    said_back: torch.Tensor  # (outputs,) into T' * H + 1; the last holds zeros
    kept: torch.Tensor | None  # (T',) into T: who asks; None for all
    text_bias: torch.Tensor  # (1 or kv * B, group * Q, S)
    padding: torch.Tensor  # (kv * B, 1, S)
    own_bias: torch.Tensor  # (1, group * L, L)

    def cut(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """The six blocks of a gathered layer, as (batches, tokens, head)."""
        kv, group, width = self.heads.kv, self.heads.group, 2 * self.heads.half
        rows, asked, known, many, wide = self.shape
        shapes = [
            (kv * rows, group * asked, width),
            (kv * rows, known, width),
            (kv * rows, known, width),
            (kv * rows * many, group * wide, width),
            (kv * rows * many, wide, width),
            (kv * rows * many, wide, width),
        ]
        pieces = flat.view(-1).split([a * b * c for a, b, c in shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def all_places(lengths: Lengths, heads: Heads, like: torch.Tensor) -> Places:
    """The places of a layer that answers for every token."""
    texts = [text for text, _ in lengths]
    return _places(lengths, heads, like, [0] * len(texts), texts)


def last_places(lengths: Lengths, sources: Ints, heads: Heads, like: torch.Tensor) -> Places:
    """The places of the last layer, of which only `sources` are read (into T, in any order).

    Of a text that branches follow that is its last token at most; branches are kept whole.
    """
    begin, end = [], []
    at = 0
    ordered = np.unique(sources)
    for text, branches in lengths:
        low, high = np.searchsorted(ordered, [at, at + text])
        first = int(ordered[low]) - at if low < high else text - 1
        last = int(ordered[high - 1]) - at if low < high else text - 1
        begin.append(first)
        end.append(last + 1)
        at += text + sum(branches)
    return _places(lengths, heads, like, begin, end)


def _places(
    lengths: Lengths, heads: Heads, like: torch.Tensor, begin: Sequence[int], end: Sequence[int]
) -> Places:
    rows, known = len(lengths), max(text for text, _ in lengths)
    asked = max(b - a for a, b in zip(begin, end, strict=True))
    many = max(len(branches) for _, branches in lengths)
    wide = max((length for _, branches in lengths for length in branches), default=0)
    text = np.full((rows, asked), -1)
    keys = np.full((rows, known), -1)
    own = np.full((rows, many, wide), -1)
    at = 0
    for row, (length, branches) in enumerate(lengths):
        text[row, : end[row] - begin[row]] = np.arange(at + begin[row], at + end[row])
        keys[row, :length] = np.arange(at, at + length)
        at += length
        for number, one in enumerate(branches):
            own[row, number, :one] = np.arange(at, at + one)
            at += one
    units = _units(heads, text, keys, own)
    back, there = np.full(at * 2 * heads.all, len(units)), np.flatnonzero(units >= 0)
    back[units[there]] = there
    whole = sum(b - a for a, b in zip(begin, end, strict=True)) + int((own >= 0).sum()) == at
    kept = None if whole else np.sort(np.concatenate([text[text >= 0], own[own >= 0]]))
    said, said_back = _said(heads, text, own, kept, at)
    lowest = torch.finfo(like.dtype).min
    repeated = (1, heads.group, 1)
    if whole and asked == known:
        text_bias = causal(asked, known, like)[None].repeat(repeated)
    else:
        sees = np.arange(known) <= (np.array(begin)[:, None] + np.arange(asked))[..., None]
        hidden = torch.from_numpy(~sees).to(like.device)
        text_bias = like.new_zeros(hidden.shape).masked_fill_(hidden, lowest)
        text_bias = text_bias.repeat(heads.kv, heads.group, 1)
    empty = torch.from_numpy(keys < 0).to(like.device)[:, None]
    padding = like.new_zeros(empty.shape).masked_fill_(empty, lowest)
    return Places(
        heads=heads,
        shape=(rows, asked, known, many, wide),
        units=torch.from_numpy(np.maximum(units, 0)),
        back=torch.from_numpy(back),
        said=torch.from_numpy(said),
        said_back=torch.from_numpy(said_back),
        kept=None if kept is None else torch.from_numpy(kept),
        text_bias=text_bias,
        padding=padding.repeat(heads.kv, 1, 1),
        own_bias=causal(wide, wide, like)[None].repeat(repeated),
    )


def _units(heads: Heads, text: Ints, keys: Ints, own: Ints) -> Ints:
    """Where each half head of the blocks comes from; -1 where a block is padding."""
    halves = np.arange(2)
    turned = halves * heads.turned
    queries = np.arange(heads.kv * heads.group).reshape(heads.kv, heads.group)
    known = heads.kv * heads.group + np.arange(heads.kv)
    said = 2 * heads.turned + 2 * np.arange(heads.kv)

    def at(tokens: Ints, inside: Ints) -> Ints:
        found = np.where(tokens < 0, -1, tokens * 2 * heads.all + inside)
        return found.reshape(-1)

    def each(tokens: Ints, heads_of: Ints, inside: Ints) -> Ints:
        """(kv, tokens..., 2) of heads without groups."""
        lead = heads_of.reshape(-1, *([1] * (tokens.ndim + 1)))
        return at(tokens[None, ..., None], lead + inside)

    asked = queries[:, None, :, None, None]  # (kv, 1, group, 1, 1)
    return np.concatenate(
        [
            at(text[None, :, None, :, None], asked + turned),
            each(keys, known, turned),
            each(keys, said, halves),
            at(own[None, :, :, None, :, None], queries[:, None, None, :, None, None] + turned),
            each(own, known, turned),
            each(own, said, halves),
        ]
    )


def _said(heads: Heads, text: Ints, own: Ints, kept: Ints | None, tokens: int) -> tuple[Ints, Ints]:
    """Where the output of each head of each token that asks is found, and the way back."""
    rank = np.full(tokens + 1, -1)
    rank[np.arange(tokens) if kept is None else kept] = np.arange(
        tokens if kept is None else len(kept)
    )
    count = heads.kv * heads.group
    queries = np.arange(count).reshape(heads.kv, heads.group)

    def at(held: Ints, head: Ints) -> Ints:
        found = np.where(held < 0, -1, rank[held] * count + head)
        return found.reshape(-1)

    places = np.concatenate(
        [
            at(text[None, :, None, :], queries[:, None, :, None]),
            at(own[None, :, :, None, :], queries[:, None, None, :, None]),
        ]
    )
    there = np.flatnonzero(places >= 0)
    said = np.zeros((tokens if kept is None else len(kept)) * count, dtype=np.int64)
    said[places[there]] = there
    return said, np.where(places < 0, len(said), places)

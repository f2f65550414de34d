"""Rows of a batch that are being written: what every way of running a model can do.

All rows share one column: the next token of each goes to the same place of its cache. A row that is
shorter has a gap before it that nobody looks at, so that rows can join and leave between two steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch


class Prompt(NamedTuple):
    """What a student reads, and how its own words begin: a control token, and what it is made to say.

    A decoder reads both in one row; an encoder-decoder reads `input` and begins to write with `begin`.
    """

    input: tuple[int, ...]
    begin: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return self.input + self.begin


class Rows(Protocol):
    """A batch of B rows with their caches. Logits are of the next token, (B, V)."""

    joinable: bool
    """Whether rows may join others that are under way."""

    def join(self, prompts: Sequence[Prompt], tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Reads N prompts, whose rows come after those that are there; logits (N, V) of the new. With
        `tokens`, (B,), those that are there take a step along with it; logits (B + N, V) of all."""

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Reads one more token of every row, (B,); logits (B, V)."""

    def extend(self, tokens: torch.Tensor) -> torch.Tensor:
        """Reads T more tokens of every row, (B, T), padded behind; logits (B, T, V) after each."""

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows, in this order; a row that is named twice is copied."""

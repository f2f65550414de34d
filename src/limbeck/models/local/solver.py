"""A student that solves what another one asks: its prompts end with the asker's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from limbeck.models.local.decoder import Decoder, Progress
from limbeck.models.local.rows import Prompt
from limbeck.models.local.said import Said
from limbeck.types import Ask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ASKING = Ask(control="ask", order="answer", causal=False)
"""How an asker is asked: all that it writes are questions."""


class Solver(Decoder):
    """A decoder whose students read `input ⟨solve⟩ questions ⟨think⟩`; the asker writes the questions
    anew for each prompt, greedily, with at most `room` tokens."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        asker: Decoder,
        asking: Ask,
        room: int,
    ) -> None:
        super().__init__(model, tokenizer)
        self._asker, self._asking, self._asker_room = asker, asking, room
        self._cost: list[int] = []

    @classmethod
    def of(cls, decoder: Decoder, asker: Decoder, asking: Ask, room: int) -> Solver:
        """The same model and tokenizer with an asker before them."""
        return cls(decoder.model, decoder._tokenizer, asker, asking, room)

    def prompts(self, inputs: Sequence[str], ask: Ask) -> list[Prompt]:
        plain = super().prompts(inputs, ask)
        if ask.asker is None:
            return plain
        asked = self._asker.ask(inputs, self._asking, self._asker_room)
        self._cost = [one.new_tokens for one in asked]
        questions = self.encode([one.answer or "" for one in asked])
        think = self._control["think"]
        return [
            prompt._replace(begin=(*prompt.begin, *more, think))
            for prompt, more in zip(plain, questions, strict=True)
        ]

    def ask(
        self,
        inputs: Sequence[str],
        ask: Ask,
        max_new_tokens: int,
        *,
        batch: int = 128,
        progress: Progress | None = None,
    ) -> list[Said]:
        """As a decoder's; the asker's tokens are counted with the solver's."""
        self._cost = [0] * len(inputs)
        said = super().ask(inputs, ask, max_new_tokens, batch=batch, progress=progress)
        return [
            replace(one, new_tokens=one.new_tokens + cost)
            for one, cost in zip(said, self._cost, strict=True)
        ]

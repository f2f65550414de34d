"""What a student wrote: its tokens, and how they divide into rationale and answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from limbeck.types import Ask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Token(NamedTuple):
    """A token that was written. `logprob` is the model's own, in nats, whatever the temperature; `gap`
    is its lead over the best other token, in nats (below 0 where a sample fell on another). `top` are the
    likeliest tokens at its place and their log-probabilities, as many as were asked for."""

    id: int
    logprob: float
    gap: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Said:
    """What a student wrote to one input.

    `answer` and `rationale` are None where it never got to them. `logprobs` are those of the answer's
    tokens and the stop after them, in nats; `margin` is the smallest gap, in nats, between the chosen
    and the second token inside the answer; `rationale_logprob` is the mean over the rationale's tokens
    that it wrote itself; `new_tokens` counts everything that it wrote.
    """

    answer: str | None
    rationale: str | None
    logprobs: tuple[float, ...]
    margin: float
    rationale_logprob: float
    new_tokens: int
    stopped: bool


class Reader:
    """Divides what was written at its control tokens, and turns it into text."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, controls: Mapping[str, int], end: int
    ) -> None:
        self._tokenizer = tokenizer
        self._controls = controls
        self._end = end

    def stops(self, ask: Ask) -> frozenset[int]:
        """The tokens at which nothing more is wanted: an answer that comes first ends decoding."""
        if ask.order == "answer_rationale":
            return frozenset({self._end, self._controls["think"]})
        return frozenset({self._end})

    def read(
        self, written: Sequence[Token], ask: Ask, given: Sequence[int] = (), answering: bool = False
    ) -> Said:
        """`given` are ids of a rationale that was put into the student's mouth; `answering` says that
        the token that ends a rationale was given as well."""
        stopped = bool(written) and written[-1].id in self.stops(ask)
        rationale: Sequence[Token] = ()
        answer: Sequence[Token] | None = written
        if ask.order == "rationale_answer" and not answering:
            mark = self._controls["answer"]
            at = next((at for at, token in enumerate(written) if token.id == mark), None)
            rationale = written if at is None else written[:at]
            answer = None if at is None else written[at + 1 :]
        text = None
        if answer is not None and stopped:
            text = self.text([token.id for token in answer[:-1]])
        return Said(
            answer=text or None,
            rationale=self._unframed([*given, *(token.id for token in rationale)], ask) or None,
            logprobs=tuple(token.logprob for token in answer or ()),
            margin=min((token.gap for token in answer or ()), default=0.0),
            rationale_logprob=(
                math.fsum(token.logprob for token in rationale) / len(rationale)
                if rationale
                else 0.0
            ),
            new_tokens=len(written),
            stopped=stopped,
        )

    def _unframed(self, ids: Sequence[int], ask: Ask) -> str:
        text = self.text(ids)
        return text.removesuffix(ask.frame.close.strip()).strip() if ask.frame else text

    def answering(self, ids: Sequence[int], ask: Ask) -> Sequence[int]:
        """Those of the ids written so far that belong to the answer."""
        if ask.order != "rationale_answer":
            return ids
        mark = self._controls["answer"]
        return ids[ids.index(mark) + 1 :] if mark in ids else ()

    def text(self, ids: Sequence[int]) -> str:
        decoded = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return str(decoded).strip()

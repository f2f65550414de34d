"""Students that are asked a second time where their first answer is unsure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from limbeck.types import Again, Ask

if TYPE_CHECKING:
    from limbeck.models.local.decoder import Decoder
    from limbeck.models.local.said import Said

FEATURES = ("mean_logprob", "sum_logprob", "margin", "answer_tokens", "log_input_characters")
"""What a selector reads of a first answer: log-probabilities and margin in nats."""

_LOWEST = -50.0
"""A first answer that never came is as unsure as can be; its signals are set to this, in nats."""


def answers(
    decoder: Decoder,
    inputs: Sequence[str],
    ask: Ask,
    room: int,
    *,
    batch: int = 128,
    progress: Callable[[int], None] | None = None,
) -> list[Said]:
    """What a student says to `inputs` when it is asked as its recipe wants, in one turn or two.

    Tokens of both turns are counted. `room` bounds each of them.
    """
    told = progress if ask.again is None else None
    first = decoder.ask(inputs, ask, room, batch=batch, progress=told)
    if ask.again is None:
        return first
    unsure = [
        at
        for at, (said, text) in enumerate(zip(first, inputs, strict=True))
        if is_unsure(said, text, ask.again)
    ]
    anew = second_turn(ask, ask.again.control, ask.again.order)
    second = decoder.ask([inputs[at] for at in unsure], anew, room, batch=batch)
    out = list(first)
    for at, said in zip(unsure, second, strict=True):
        out[at] = replace(said, new_tokens=said.new_tokens + first[at].new_tokens)
    if progress is not None:
        progress(len(inputs))
    return out


def second_turn(
    ask: Ask, control: str, order: Literal["rationale_answer", "answer_rationale"]
) -> Ask:
    """`ask` in another order, with all else as it is."""
    causal = order == "rationale_answer"
    return ask.model_copy(
        update={"control": control, "order": order, "causal": causal, "again": None}
    )


def is_unsure(said: Said, text: str, again: Again) -> bool:
    """Whether the student is asked again after this first answer to `text`."""
    centered = zip(features(said, text), again.center, again.scale, again.weights, strict=True)
    score = again.bias + math.fsum((x - c) / s * w for x, c, s, w in centered)
    # The logistic function, written so that a large score does not overflow.
    sure = 1 / (1 + math.exp(-score)) if score > -700 else 0.0
    return sure < again.threshold


def features(said: Said, text: str) -> tuple[float, ...]:
    """The values of `FEATURES`."""
    if said.answer is None or not said.logprobs:
        return (_LOWEST, _LOWEST, 0.0, float(said.new_tokens), math.log1p(len(text)))
    total = math.fsum(said.logprobs)
    return (
        max(total / len(said.logprobs), _LOWEST),
        max(total, _LOWEST),
        said.margin,
        float(len(said.logprobs)),
        math.log1p(len(text)),
    )

"""Students that are asked in two turns: after a first answer that is unsure, or by an asker first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from limbeck.types import Again, Ask

if TYPE_CHECKING:
    from limbeck.models.local.decoder import Decoder
    from limbeck.models.local.said import Said

FEATURES = ("mean_logprob", "sum_logprob", "margin", "answer_tokens", "log_input_characters")
"""What a selector reads of a first answer: log-probabilities and margin in nats."""

ASKING = Ask(control="ask", order="answer", causal=False)
"""How an asker is asked: all that it writes are questions."""

THINKING = Ask(control="think", order="rationale_answer", causal=True)

_LOWEST = -50.0
"""A first answer that never came is as unsure as can be; its signals are set to this, in nats."""


def answers(
    decoder: Decoder,
    inputs: Sequence[str],
    ask: Ask,
    room: int,
    *,
    asker: Decoder | None = None,
    batch: int = 128,
    progress: Callable[[int], None] | None = None,
) -> list[Said]:
    """What a student says to `inputs` when it is asked as its recipe wants, in one turn or two.

    Tokens of both turns are counted. `room` bounds each of them.
    """
    if ask.asker is not None:
        assert asker is not None, "a student with an asker is loaded with it"
        return solved(asker, decoder, inputs, ask, room, batch=batch, progress=progress)
    told = progress if ask.again is None else None
    first = decoder.ask(inputs, ask, room, batch=batch, progress=told)
    if ask.again is None:
        return first
    unsure = [
        at
        for at, (said, text) in enumerate(zip(first, inputs, strict=True))
        if is_unsure(said, text, ask.again)
    ]
    anew = Ask(control=ask.again.control, order=ask.again.order, causal=True)
    second = decoder.ask([inputs[at] for at in unsure], anew, room, batch=batch)
    out = list(first)
    for at, said in zip(unsure, second, strict=True):
        out[at] = replace(said, new_tokens=said.new_tokens + first[at].new_tokens)
    if progress is not None:
        progress(len(inputs))
    return out


def solved(
    asker: Decoder,
    solver: Decoder,
    inputs: Sequence[str],
    ask: Ask,
    room: int,
    *,
    batch: int = 128,
    progress: Callable[[int], None] | None = None,
) -> list[Said]:
    """The solver's answers to the questions that the asker writes for each input."""
    asked = asker.ask(inputs, ASKING, room, batch=batch)
    questions = solver.encode([said.answer or "" for said in asked])
    [between] = {prompt.begin for prompt in solver.prompts(["x"], THINKING)}
    lines = [
        solver.line(prompt._replace(begin=(*prompt.begin, *more, *between)), ask, room)
        for prompt, more in zip(solver.prompts(inputs, ask), questions, strict=True)
    ]
    solver.write(lines, batch, progress)
    said = [solver.reader.read(line.written, ask) for line in lines]
    return [
        replace(one, new_tokens=one.new_tokens + before.new_tokens)
        for one, before in zip(said, asked, strict=True)
    ]


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

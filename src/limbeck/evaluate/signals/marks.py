"""What the rule for who answers needs of a reply: its answer, its signals, and no text besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from limbeck.evaluate.signals.reading import Reading
from limbeck.evaluate.signals.table import read_signals
from limbeck.types import Policy, Task
from limbeck.verify.table import normalize

CHARACTERS = 4
"""Of English, for a token of a frontier model: what a client's counts are used to."""


class Marked(NamedTuple):
    """A reply as the rule sees it: `answer` in the task's form, None where it is not, and the policy's
    signals of it. `tokens` were read, as estimated, and written."""

    answer: str | None
    signals: tuple[float, ...] = ()
    tokens: tuple[int, int] = (0, 0)


def mark(policy: Policy, task: Task, reading: Reading) -> Marked:
    """The marks of one reply."""
    said = reading.said
    tokens = (max(1, len(reading.input) // CHARACTERS), said.new_tokens)
    answer = normalize(task, said.answer) if said.answer is not None else None
    if answer is None:
        return Marked(None, tokens=tokens)
    signals = read_signals(replace(reading, answer=answer), policy.signals)
    return Marked(answer, tuple(float(value) for value in signals), tokens)


def marking(
    policy: Policy, task: Task, read: Callable[[Sequence[str]], list[Reading]]
) -> Callable[[Sequence[str]], list[Marked]]:
    """`read`, whose replies are marked."""

    def ask(inputs: Sequence[str]) -> list[Marked]:
        return [mark(policy, task, reading) for reading in read(inputs)]

    return ask

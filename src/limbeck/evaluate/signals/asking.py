"""Asks a student for all that a policy's signals are read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from limbeck.evaluate.signals.novelty import Novelty
from limbeck.evaluate.signals.reading import Reading
from limbeck.models.local import Student
from limbeck.types import Policy, Task
from limbeck.verify.table import normalize

TEMPERATURE = 0.7
"""At 1 a small student's samples wander further than its doubts do."""


def readings_for(policy: Policy, task: Task, student: Student) -> Callable[..., list[Reading]]:
    """A function that asks `student` for what the signals of `policy` need, and for no more."""
    novelty = Novelty.unpack(policy.novelty) if policy.novelty else None

    def ask(inputs: Sequence[str]) -> list[Reading]:
        said = student.ask(inputs)
        answers = [one.answer and normalize(task, one.answer) for one in said]
        readings = [
            Reading(text, one, task, answer or None, (), novelty)
            for text, one, answer in zip(inputs, said, answers, strict=True)
        ]
        return ask_more(
            student, readings, samples=policy.samples, orders="orders" in policy.signals
        )

    return ask


def ask_more(
    student: Student, readings: Sequence[Reading], *, samples: int, orders: bool, seed: int = 0
) -> list[Reading]:
    """`readings` with the answers of `samples` further replies each, and with the answer that comes
    without a rationale. Raises StudentError where a student that writes none is asked for `orders`."""
    inputs = [one.input for one in readings]
    found = list(readings)
    if samples:
        drawn = student.sample(inputs, k=samples, temperature=TEMPERATURE, seed=seed)
        found = [
            replace(one, samples=tuple(_answer(one, reply.answer) for reply in replies))
            for one, replies in zip(found, drawn, strict=True)
        ]
    if orders:
        direct = student.continue_from(inputs, [""] * len(inputs))
        found = [
            replace(one, direct=_answer(one, reply.answer))
            for one, reply in zip(found, direct, strict=True)
        ]
    return found


def _answer(reading: Reading, text: str | None) -> str | None:
    return None if text is None else normalize(reading.task, text, reading.choices)

"""A student made to go on from rationales that it did not write, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from limbeck.models.local import Said
from limbeck.types import Example, Task
from limbeck.verify.table import normalize


class Thinker(Protocol):
    """What is needed of a student that writes a rationale before its answer."""

    def ask(self, inputs: Sequence[str]) -> list[Said]: ...

    def answer(self, inputs: Sequence[str], rationales: Sequence[str]) -> list[Said]:
        """Answers at once, after each of `rationales`."""
        ...

    def go_on(self, inputs: Sequence[str], beginnings: Sequence[str]) -> list[Said]:
        """Goes on with each rationale from its beginning, then answers."""
        ...

    def score(
        self, inputs: Sequence[str], rationales: Sequence[str], answers: Sequence[str]
    ) -> NDArray[np.float64]:
        """log P(answer | input, rationale), nats, (N,)."""
        ...


@dataclass(frozen=True)
class Chains:
    """N items on which a student wrote a rationale and an answer in form.

    `answers` are what it says when its own rationale is put back in its mouth, so that nothing but the
    intervention differs later; `logprob` is that of those answers, nats.
    """

    inputs: list[str]
    rationales: list[str]
    answers: list[str]
    spelled: list[str]
    """The answers as it wrote them, before they were brought into form."""
    logprob: NDArray[np.float64]
    repeated: float
    """Share of items on which putting its own rationale back gave the answer that it gave by itself."""
    choices: list[tuple[str, ...]]


def in_form(
    task: Task, said: Sequence[Said], choices: Sequence[tuple[str, ...]]
) -> list[str | None]:
    return [
        None if one.answer is None else normalize(task, one.answer, own)
        for one, own in zip(said, choices, strict=True)
    ]


def chains_of(thinker: Thinker, task: Task, examples: Sequence[Example]) -> Chains:
    """The items of `examples` on which the student writes a rationale and an answer in form."""
    inputs = [example.input for example in examples]
    choices = [example.choices for example in examples]
    first = thinker.ask(inputs)
    own = [one.rationale or "" for one in first]
    again = thinker.answer(inputs, own)
    before, after = in_form(task, first, choices), in_form(task, again, choices)
    kept = [at for at, text in enumerate(own) if text and after[at] is not None]
    answers = [str(after[at]) for at in kept]
    spelled = [str(again[at].answer) for at in kept]
    logprob = (
        thinker.score([inputs[at] for at in kept], [own[at] for at in kept], spelled)
        if kept
        else np.zeros(0)
    )
    return Chains(
        inputs=[inputs[at] for at in kept],
        rationales=[own[at] for at in kept],
        answers=answers,
        spelled=spelled,
        logprob=logprob,
        repeated=float(np.mean([before[at] == after[at] for at in kept])) if kept else 0.0,
        choices=[choices[at] for at in kept],
    )

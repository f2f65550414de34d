"""Training chains spoiled on purpose, by a dose: what does a student need of them?

The kinds follow the structure-not-content experiments (Li et al. 2025, arXiv 2502.07374), which spoiled
17,000 long chains for a 32B student; nothing there shows what small students need, so it is offered as
an experiment. `dose` is the share of units that are touched:

| kind | unit | what happens to it |
|---|---|---|
| `wrong-answers` | example | its answer becomes a wrong one, also where the last step states it |
| `digits` | digit | becomes another digit |
| `shuffle` | step | the chosen steps change places among themselves |
| `delete` | step | goes; at least one step stays |
| `insert` | step | is followed by a step of another example |
| `keywords` | connective | goes (`so`, `because`, `therefore`, `wait`, ...) |
| `other-item` | example | gets the chain of another example; its answer stays |
| `filler` | word | becomes a dot, so that the length stays and the content goes |

What is touched is a function of seed, kind and trace: the order of the examples does not matter, and
what a small dose touches a larger dose touches too (of `shuffle`: the same steps, in another order).
An input is never touched, nor an example without a rationale, but for `wrong-answers`.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from limbeck.distill.steps import join_steps, steps_of
from limbeck.errors import ConfigError
from limbeck.types import Chain, Example, Noun, Task

Kind = Literal[
    "wrong-answers",
    "digits",
    "shuffle",
    "delete",
    "insert",
    "keywords",
    "other-item",
    "filler",
]


class Perturbation(Noun):
    """What is done to the training chains; `dose` is a share of units from 0 to 1."""

    kind: Kind
    dose: Annotated[float, Field(ge=0, le=1)]
    seed: int = 0


KEYWORDS = (
    "however",
    "therefore",
    "because",
    "since",
    "thus",
    "hence",
    "alternatively",
    "wait",
    "but",
    "so",
    "then",
    "first",
    "next",
    "finally",
    "if",
    "let me check",
    "just to make sure",
)
"""Connectives that carry the shape of an argument; `but`, `wait` and `alternatively` are the paper's."""

_DIGIT = re.compile(r"[0-9]")
_KEYWORD = re.compile(rf"\b(?:{'|'.join(KEYWORDS)})\b,?[ \t]*", re.IGNORECASE)
_WORD = re.compile(r"\S+")
FILLER = "."


@dataclass(frozen=True)
class _Others:
    """What a chain may be given from elsewhere: the chains and answers of the other examples."""

    chains: tuple[str, ...]
    steps: tuple[str, ...]
    answers: tuple[str, ...]

    def chain(self, rng: random.Random, own: str) -> str:
        return _another(self.chains, own, rng)

    def step(self, rng: random.Random, own: str) -> str:
        return _another(self.steps, own, rng)


def perturb(examples: Sequence[Example], perturbation: Perturbation, task: Task) -> list[Example]:
    """The examples with their chains (and for `wrong-answers` their answers) spoiled by the dose."""
    if perturbation.dose == 0:
        return list(examples)
    chains = tuple(sorted({chain.rationale for e in examples for chain in e.chains}))
    others = _Others(
        chains=chains,
        steps=tuple(sorted({step for chain in chains for step in steps_of(chain)})),
        answers=tuple(sorted({example.answer for example in examples})),
    )
    return [_perturbed(example, perturbation, task, others) for example in examples]


def _perturbed(
    example: Example, perturbation: Perturbation, task: Task, others: _Others
) -> Example:
    kind, dose = perturbation.kind, perturbation.dose
    rng = _random(perturbation, example)
    if kind == "wrong-answers":
        return _wrong(example, task, others, rng) if rng.random() < dose else example
    if not example.rationale:
        return example
    change = _CHANGES[kind]
    first, *rest = (
        chain.model_copy(update={"rationale": change(chain.rationale, dose, rng, others)})
        for chain in example.chains
    )
    return example.model_copy(update={"rationale": first.rationale, "others": tuple(rest)})


def _random(perturbation: Perturbation, example: Example) -> random.Random:
    name = f"{perturbation.seed}/{perturbation.kind}/{example.trace_id}"
    return random.Random(hashlib.sha256(name.encode()).digest())


# ---- answers ------------------------------------------------------------------------------------


def _wrong(example: Example, task: Task, others: _Others, rng: random.Random) -> Example:
    """The example with another answer; where its chains end with the old one, they end with the new."""
    wrong = _wrong_answer(example, task, others, rng)
    said = re.compile(rf"(?<!\w){re.escape(example.answer)}(?!\w)", re.IGNORECASE)

    def argue(rationale: str) -> str:
        *before, last = steps_of(rationale) or [""]
        return join_steps([*before, said.sub(lambda _: wrong, last)], rationale)

    return example.model_copy(
        update={
            "answer": wrong,
            "rationale": argue(example.rationale) if example.rationale else None,
            "others": tuple(
                Chain(rationale=argue(chain.rationale), answer=wrong) for chain in example.others
            ),
        }
    )


def _wrong_answer(example: Example, task: Task, others: _Others, rng: random.Random) -> str:
    if task.answer.kind == "number":
        return _wrong_number(example.answer, task.answer.tolerance, rng)
    choices = example.choices or task.answer.choices or others.answers
    wrong = [choice for choice in choices if choice not in (example.answer, example.truth)]
    if not wrong:
        raise ConfigError(
            f"there is no wrong answer to put in place of {example.answer!r}: the task has no choices "
            "and no other answer; use another kind of perturbation"
        )
    return rng.choice(wrong)


def _wrong_number(answer: str, tolerance: float, rng: random.Random) -> str:
    """A number near by with as many decimals, further off than the task's tolerance."""
    decimals = len(answer.partition(".")[2])
    try:
        value = float(answer.replace(",", ""))
    except ValueError:
        raise ConfigError(
            f"the answer {answer!r} reads as no number, so no wrong one can be made of it"
        ) from None
    reach = max(10.0, abs(value) / 5)
    step = 10.0**-decimals
    off = max(tolerance * 1.5, rng.randint(1, max(1, round(reach))) * step, step)
    # A sign of its own would give a wrong answer away where none else is negative.
    sign = 1 if value - off < 0 <= value else rng.choice((-1, 1))
    return f"{value + sign * off:.{decimals}f}"


# ---- chains -------------------------------------------------------------------------------------


def _digits(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    def other(found: re.Match[str]) -> str:
        chosen, digit = rng.random() < dose, rng.choice([d for d in "0123456789" if d != found[0]])
        return digit if chosen else found[0]

    return _DIGIT.sub(other, chain)


def _shuffle(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    steps = steps_of(chain)
    places = _chosen(len(steps), dose, rng)
    moved = places[:]
    for _ in range(20):
        # Few steps often fall back to where they were.
        rng.shuffle(moved)
        if moved != places or len(places) < 2:
            break
    out = steps[:]
    for old, new in zip(places, moved, strict=True):
        out[new] = steps[old]
    return join_steps(out, chain)


def _delete(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    steps = steps_of(chain)
    gone = set(_chosen(len(steps), dose, rng, at_most=len(steps) - 1))
    return join_steps([step for place, step in enumerate(steps) if place not in gone], chain)


def _insert(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    steps = steps_of(chain)
    chosen = set(_chosen(len(steps), dose, rng))
    foreign = [others.step(rng, step) for step in steps]
    out: list[str] = []
    for place, step in enumerate(steps):
        out += [step, foreign[place]] if place in chosen else [step]
    return join_steps(out, chain)


def _keywords(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    left = _KEYWORD.sub(lambda found: "" if rng.random() < dose else found[0], chain)
    return left if left.strip() else chain


def _other_item(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    chosen, other = rng.random() < dose, others.chain(rng, chain)
    return other if chosen else chain


def _filler(chain: str, dose: float, rng: random.Random, others: _Others) -> str:
    return _WORD.sub(lambda found: FILLER if rng.random() < dose else found[0], chain)


_CHANGES: dict[str, Callable[[str, float, random.Random, _Others], str]] = {
    "digits": _digits,
    "shuffle": _shuffle,
    "delete": _delete,
    "insert": _insert,
    "keywords": _keywords,
    "other-item": _other_item,
    "filler": _filler,
}


def _chosen(count: int, dose: float, rng: random.Random, at_most: int | None = None) -> list[int]:
    """About `dose` of the places, rounded at random so that the mean over chains is the dose."""
    order = list(range(count))
    rng.shuffle(order)
    wanted = int(count * dose + rng.random())
    return sorted(order[: min(wanted, count if at_most is None else at_most)])


def _another(texts: Sequence[str], own: str, rng: random.Random) -> str:
    for _ in range(20):
        found = rng.choice(texts)
        if found != own:
            return found
    return own

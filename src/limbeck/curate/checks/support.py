"""The chain builds on numbers or quotations that come from nowhere.

Catches with `most = 0.5` a chain half of whose numbers are nowhere to be found, and with `quotes` one
that quotes what the input does not say. Lets pass a number that stands in the input, in the instruction
or among the choices, in figures or in words, that a right step of the chain arrives at, or that everybody
knows (60 minutes). Neither is proof, since a chain may compute in its head: by default nothing is
dropped, and the share of each task stands in the data card.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

import polars as pl
from pydantic import Field

from limbeck.curate.chain import excerpt, numbers
from limbeck.curate.checks.verdict import CheckSettings, by_row, verdicts
from limbeck.curate.equations import equations
from limbeck.curate.formula import Value, size
from limbeck.types import Task

_SAID = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "fifteen": 15,
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100,
    "thousand": 1000, "million": 10**6, "once": 1, "twice": 2, "double": 2, "triple": 3,
    "half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8,
    "tenth": 10, "couple": 2, "pair": 2,
}  # fmt: skip
_KNOWN = frozenset({*range(11), 12, 24, 30, 31, 52, 60, 100, 365, 1000})
_WORD = re.compile(r"[a-z]+")
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{8,200})[\"”]")
_LONGEST = 20_000
"""Characters of a chain that are looked at."""


class Settings(CheckSettings):
    most: float = Field(1.0, ge=0, le=1)
    """The largest share of a chain's different numbers that may come from nowhere; 1 drops none."""
    at_least: int = Field(3, ge=1)
    """A chain with fewer such numbers is never dropped for them."""
    doubt: float | None = Field(None, ge=0)
    """Chains of number tasks with more `doubt` than this are dropped; None drops none."""
    quotes: bool = False
    """Whether a chain that quotes what its input does not say is dropped."""


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain rests on more from nowhere than the settings allow."""
    if settings.most >= 1 and settings.doubt is None and not settings.quotes:
        return verdicts([None] * frame.height)

    def find(prompt: str, chain: str | None, choices: list[str], answer: str | None) -> str | None:
        if not chain:
            return None
        given = "\n".join((prompt, task.instruction, *choices))
        said, strange = from_nowhere(given, chain)
        if len(strange) >= settings.at_least and len(strange) > settings.most * said:
            listed = ", ".join(strange[:5]) + (", …" if len(strange) > 5 else "")
            return f"{len(strange)} of {said} numbers come from nowhere: {listed}"
        if settings.doubt is not None and task.answer.kind == "number":
            found = doubt(given, chain, answer)
            if found > settings.doubt:
                return f"its numbers leave {found:.2f} of doubt (limit {settings.doubt:g})"
        if settings.quotes and (quoted := misquoted(given, chain)):
            return f"the chain quotes {excerpt(quoted)!r}, which the input does not say"
        return None

    return by_row(frame, ["input", "rationale", "choices", "answer"], find)


def doubt(given: str, chain: str, answer: str | None) -> float:
    """How much speaks against a number that `chain` arrives at, from 0 (nothing) to 4.5.

    The sum of: the share of the chain's numbers that come from nowhere; the share of the numbers
    `given` that the chain leaves unused; 1 for an answer that is no whole number, 1 for a negative
    one, and 0.5 for one that does not stand in the chain. The weights are chosen, not fitted.
    """
    said, strange = from_nowhere(given, chain)
    wanted = {abs(Fraction(number)) for number in numbers(given)}
    wanted |= {Fraction(_SAID[word]) for word in _words(given) if _SAID[word] > 1}
    there = {abs(Fraction(number)) for number in numbers(chain[:_LONGEST])}
    used = there | {Fraction(_SAID[word]) for word in _words(chain)}
    # 25 % is used where 0.25 or 75 stands, a third where 3 does.
    used |= {value * 100 for value in used} | {100 - value * 100 for value in used}
    unused = len(wanted - used) / max(len(wanted), 1)
    total = len(strange) / max(said, 1) + unused
    try:
        value = Fraction(answer or "")
    except (ValueError, ZeroDivisionError):
        return total + 1
    total += (value.denominator != 1) + (value < 0)
    return total + (0.5 if abs(value) not in there else 0)


def _words(text: str) -> list[str]:
    """The words of a text that say a number."""
    return [word for word in _WORD.findall(text.lower()) if word in _SAID]


def from_nowhere(given: str, chain: str) -> tuple[int, list[str]]:
    """How many different numbers stand in `chain`, and those that nothing accounts for, in order."""
    chain = chain[:_LONGEST]
    said = {number: size(_value(number)) for number in numbers(chain)}
    known = {size(_value(number)) for number in numbers(given)} | _KNOWN
    known |= {_SAID[word] for word in _words(given)}
    if known.issuperset(said.values()):
        return len(said), []
    for step in equations(chain):
        if step.relation == "=" and step.right:
            known |= {size(step.value), size(step.claimed)}
    # 25 % is written as 25, as 0.25 and as what is left of it.
    return len(said), [
        number
        for number, value in said.items()
        if known.isdisjoint((value, value * 100, 100 - value * 100))
    ]


@lru_cache(maxsize=10_000)
def _value(number: str) -> Value:
    """The value of one of `numbers`."""
    return int(number) if number.removeprefix("-").isdecimal() else Fraction(number)


def misquoted(given: str, chain: str) -> str | None:
    """The first quotation of several words in `chain` that does not stand in `given`."""
    folded = _folded(given)
    for found in _QUOTED.finditer(chain[:_LONGEST]):
        if len(found[1].split()) >= 3 and _folded(found[1]) not in folded:
            return found[1]
    return None


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))

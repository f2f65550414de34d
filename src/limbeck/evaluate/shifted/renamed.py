"""Other names: first names of people and, in text with capitals, the names that it uses more than once.

A first name becomes another of the same kind everywhere in the input, the choices and the truth.
"""

from __future__ import annotations

import random
import re

from limbeck.evaluate.shifted.change import Changed
from limbeck.types import Example

MEANING = "People and things get other names."

FEMALE = (
    "alice", "amy", "anna", "clara", "diana", "elena", "emma", "fatima", "grace", "hannah", "ines",
    "julia", "karen", "laura", "lily", "lucy", "maria", "mary", "mia", "nina", "nora", "olivia",
    "priya", "rachel", "rosa", "ruth", "sara", "sarah", "sofia", "tina", "vera", "yuki", "zoe",
)  # fmt: skip
MALE = (
    "adam", "ahmed", "alan", "anton", "ben", "bob", "carlos", "daniel", "david", "edward", "felix",
    "george", "henry", "hugo", "ivan", "jack", "james", "john", "juan", "kevin", "liam", "luis", "marco",
    "martin", "mike", "oliver", "omar", "paul", "peter", "robert", "sam", "tom", "walter", "wei",
)  # fmt: skip
_OTHER = (
    "ann", "cara", "dan", "eva", "finn", "gina", "iris", "kate", "cat", "eve", "fay", "gus", "hal", "ian",
    "joy",
)  # fmt: skip
"""Known as names, but also words or of either kind: only replaced in text where names are plain."""
_NAMES = {**dict.fromkeys(FEMALE, FEMALE), **dict.fromkeys(MALE, MALE)}
_WORD = re.compile(r"[A-Za-z]+")


def change(example: Example, rng: random.Random) -> Changed | None:
    swaps = _swaps(example, rng)
    if not swaps:
        return None
    update = {
        "input": put(example.input, swaps),
        "truth": put(example.truth, swaps),
        "answer": put(example.answer, swaps),
        "choices": tuple(put(choice, swaps) for choice in example.choices),
    }
    return Changed(example=example.model_copy(update=update), truth="renamed")


def put(text: str, swaps: dict[str, str]) -> str:
    """`text` with every whole word of `swaps` replaced, each in the case that it has."""

    def one(found: re.Match[str]) -> str:
        word = found[0]
        new = swaps.get(word.lower())
        if new is None:
            return word
        return new.upper() if word.isupper() and len(word) > 1 else _cased(word, new)

    return _WORD.sub(one, text)


def _cased(word: str, new: str) -> str:
    return new.capitalize() if word[0].isupper() else new


def _swaps(example: Example, rng: random.Random) -> dict[str, str]:
    there = {word.lower() for word in _WORD.findall(example.input)}
    lower = not any(character.isupper() for character in example.input)
    swaps: dict[str, str] = {}
    for name in sorted(there):
        kind = _NAMES.get(name) or ((FEMALE + MALE) if lower and name in _OTHER else None)
        # A word such as `mark` is a name only where it is written as one.
        written = lower or name.capitalize() in example.input
        if kind is None or not written:
            continue
        free = [one for one in kind if one not in there and one not in swaps.values()]
        if free:
            swaps[name] = rng.choice(free)
    return swaps

"""Rationales cut, corrupted and exchanged: every intervention is a function of texts and a seed."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from limbeck.evaluate.shifted.text import divide

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]+")
_PIECE = re.compile(r"\S+")
FILLER = "..."
COMMON = 0.9
"""A word in so large a share of the rationales is part of their form, not of what they say."""


def steps_of(rationale: str) -> int:
    return len(divide(rationale).parts)


def first_steps(rationale: str, share: float) -> str:
    """The first `share` of the steps, rounded down; all but the text after them."""
    steps = divide(rationale)
    count = int(share * len(steps.parts) + 1e-9)
    return "".join(p + g for p, g in zip(steps.parts[:count], steps.gaps[:count], strict=True))


def up_to_corrupted(
    rationale: str, share: float, others: Sequence[str], form: frozenset[str], rng: random.Random
) -> str | None:
    """The steps up to the one at `share` of the way, and that one with a mistake in it.

    None where nothing in the step can be made wrong.
    """
    steps = divide(rationale)
    if not steps.parts:
        return None
    place = min(int(share * len(steps.parts)), len(steps.parts) - 1)
    wrong = corrupted(steps.parts[place], others, form, rng)
    if wrong is None:
        return None
    before = "".join(
        part + gap for part, gap in zip(steps.parts[:place], steps.gaps[:place], strict=True)
    )
    return before + wrong + (steps.gaps[place] or "")


def corrupted(
    step: str, others: Sequence[str], form: frozenset[str], rng: random.Random
) -> str | None:
    """One mistake in a step: its last number, else two of its words exchanged, else another's step.

    The last number of a step is most often what it found.
    """
    numbers = list(_NUMBER.finditer(step))
    if numbers:
        found = numbers[-1]
        return step[: found.start()] + _other_number(found[0], rng) + step[found.end() :]
    said = [w for w in _WORD.finditer(step) if w[0].lower() not in form]
    pairs = [
        (a, b) for i, a in enumerate(said) for b in said[i + 1 :] if a[0].lower() != b[0].lower()
    ]
    if pairs:
        a, b = rng.choice(pairs)
        return step[: a.start()] + b[0] + step[a.end() : b.start()] + a[0] + step[b.end() :]
    free = [one for one in others if one.strip() != step.strip()]
    return rng.choice(free) if free else None


def _other_number(text: str, rng: random.Random) -> str:
    whole = text.partition(".")[0]
    low, high = (0, 9) if len(whole) == 1 else (10 ** (len(whole) - 1), 10 ** len(whole) - 1)
    while True:
        drawn = str(rng.randint(low, high))
        if drawn != whole:
            return drawn + text[len(whole) :]


def filler(rationale: str) -> str:
    """As many dots as there were words: the same room to compute in, and nothing said."""
    return " ".join([FILLER] * max(1, len(_PIECE.findall(rationale))))


def half_random(rationale: str, words: Sequence[str], rng: random.Random) -> str:
    """Half of the words replaced by words of other rationales, drawn at random."""
    return _PIECE.sub(
        lambda found: rng.choice(words) if rng.random() < 0.5 else found[0], rationale
    )


def all_words(rationales: Sequence[str]) -> list[str]:
    return [word for rationale in rationales for word in _PIECE.findall(rationale)]


def form_words(rationales: Sequence[str]) -> frozenset[str]:
    """The words that nearly every rationale has."""
    counts: Counter[str] = Counter()
    for rationale in rationales:
        counts.update({word.lower() for word in _WORD.findall(rationale)})
    return frozenset(w for w, n in counts.items() if n >= COMMON * max(1, len(rationales)))


def another(place: int, answers: Sequence[str | None], rng: random.Random) -> int | None:
    """The place of another item with another answer."""
    free = [at for at, one in enumerate(answers) if one is not None and one != answers[place]]
    return rng.choice(free) if free else None

"""Wordings: one template both says a thing and reads it back, so a solver needs only the text."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True)
class Wording:
    """A template with `(one|of|these)` and `{slots}`; the slot `{n}` is a number, others a word.

    `meaning` is what the sentence says, in the task's own terms. A `held_out` wording never stands
    in the training distribution.
    """

    id: str
    meaning: str
    template: str
    held_out: bool = False

    def say(self, rng: random.Random, slots: Mapping[str, object]) -> str:
        """The sentence, with every alternative drawn and every slot filled."""
        drawn = _ALTERNATIVES.sub(lambda m: rng.choice(m[1].split("|")), self.template)
        return _SLOT.sub(lambda m: str(slots[m[1]]), drawn)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        literals = _ALTERNATIVES.split(self.template)
        return re.compile(
            "".join(
                f"(?:{'|'.join(map(_slots_pattern, literal.split('|')))})" for literal in literals
            )
        )


def _slots_pattern(text: str) -> str:
    pieces = _SLOT.split(text)
    for i, piece in enumerate(pieces):
        word = "[0-9]{1,9}" if piece == "n" else "[a-z]+"
        pieces[i] = f"(?P<{piece}>{word})" if i % 2 else re.escape(piece)
    return "".join(pieces)


def bank(
    meaning: str, known: Iterable[str], held_out: Iterable[str] = (), *, kind: str = ""
) -> tuple[Wording, ...]:
    """The wordings of one meaning; their ids are the meaning, the kind and a running number."""
    marked = [(template, False) for template in known] + [(t, True) for t in held_out]
    return tuple(
        Wording(f"{meaning}{kind}{i}", meaning, template, held)
        for i, (template, held) in enumerate(marked)
    )


def pick(rng: random.Random, wordings: Sequence[Wording], held_out: bool = False) -> Wording:
    """One of the wordings that are, or are not, held out."""
    return rng.choice([w for w in wordings if w.held_out is held_out])


def read(sentence: str, wordings: Iterable[Wording]) -> tuple[Wording, dict[str, str]] | None:
    """The first wording that says exactly `sentence`, with its slots; None if there is none."""
    for wording in wordings:
        if match := wording.pattern.fullmatch(sentence):
            return wording, {k: v for k, v in match.groupdict().items() if v is not None}
    return None

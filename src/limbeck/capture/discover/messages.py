"""Instructions that stand in the user message: which messages were made from one template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from limbeck.capture.discover.align import NEARLY_ALL, Fitted, find_template
from limbeck.capture.discover.tokens import tokenize, words
from limbeck.capture.template import match

INSTRUCTION_WORDS = 5
"""A template with fewer constant words is no instruction."""
FEWEST = 8
"""Messages that must share a template before it counts."""
LEAST_SHARE = 0.01
SHINGLE = 4
_MORE_WORDS = 10
"""So many more constant words, or as many as all have in common, make each of a few parts a template
of its own."""
_MOST_PARTS = 5
_MOST_PHRASES = 60
"""Phrases that are tried, one after the other, to divide messages by."""
_HEAD = 400
"""Tokens at each end of a message that are looked at."""

Different = Callable[[Sequence[int], Sequence[int]], bool]
"""Whether the messages at two lists of indexes are answered in different forms."""


class Made(NamedTuple):
    """A template, and the indexes of the messages that match it."""

    template: str
    of: list[int]


def find_templates(texts: Sequence[str], different: Different) -> list[Made]:
    """The templates that enough of `texts` were made from, those of the most messages first.

    A message belongs to one template at most: the one with the most constant words.
    """
    fewest = max(FEWEST, round(LEAST_SHARE * len(texts)))
    shingled = [_shingles(text) for text in texts]
    search = _Search(texts, shingled, fewest, different)
    fitted = {found.template: found for found in search.within(list(range(len(texts))))}
    ranked = sorted(fitted.values(), key=lambda found: (-found.words, found.template))
    left = list(range(len(texts)))
    made = []
    for found in ranked:
        of = [at for at in left if match(found.template, texts[at]) is not None]
        if len(of) >= fewest:
            made.append(Made(found.template, of))
            taken = set(of)
            left = [at for at in left if at not in taken]
    return sorted(made, key=lambda one: (-len(one.of), one.template))


class _Search:
    """Divides messages by the phrases that many of them share."""

    def __init__(
        self,
        texts: Sequence[str],
        shingled: Sequence[frozenset[str]],
        fewest: int,
        different: Different,
    ) -> None:
        self._texts = texts
        self._shingled = shingled
        self._fewest = fewest
        self._different = different

    def within(self, of: list[int]) -> list[Fitted]:
        """The templates among the messages at the indexes `of`."""
        found: list[Fitted] = []
        idle: frozenset[str] = frozenset()
        for _ in range(_MOST_PHRASES):
            frequent = self._frequent(of, idle)
            if frequent is None:
                break
            having = [at for at in of if frequent in self._shingled[at]]
            new = self._divided(having, frozenset())
            if new:
                found += new
                of = _without(of, having)
            else:
                # Many write this phrase, but not in one template: others may still tell them apart.
                idle |= self._core(having) | {frequent}
        return found

    def _divided(self, of: list[int], parent: frozenset[str]) -> list[Fitted]:
        """The template of all of `of`, or those of its parts where they say more."""
        core = self._core(of)
        parts, rest = self._parts(of, core)
        whole = find_template([self._texts[at] for at in of]) if core else None
        if whole is not None and whole.words < INSTRUCTION_WORDS:
            whole = None
        if parts and (whole is None or self._say_more(whole, parts, rest, core)):
            return [one for part in parts for one in self._divided(part, core)]
        return [whole] if whole is not None else []

    def _parts(self, of: list[int], core: frozenset[str]) -> tuple[list[list[int]], list[int]]:
        """Parts of `of` that share more than `core`, the largest first, and the rest."""
        parts: list[list[int]] = []
        left, idle = of, core
        for _ in range(_MOST_PHRASES):
            frequent = self._frequent(left, idle)
            if frequent is None:
                break
            part = [at for at in left if frequent in self._shingled[at]]
            shared = self._core(part)
            if len(part) < len(of) and _new_words(shared, core) >= INSTRUCTION_WORDS:
                parts.append(part)
                left = _without(left, part)
            else:
                idle |= shared | {frequent}
        return parts, left

    def _say_more(
        self, whole: Fitted, parts: list[list[int]], rest: list[int], core: frozenset[str]
    ) -> bool:
        """Whether the parts are jobs of their own, and not wordings of one."""
        covered = sum(map(len, parts))
        if len(rest) > (1 - NEARLY_ALL) * (covered + len(rest)) or len(parts) < 2:
            return False
        if any(self._different(parts[0], part) for part in parts[1:]):
            return True
        more = min(_new_words(self._core(part), core) for part in parts)
        return len(parts) <= _MOST_PARTS and more >= min(_MORE_WORDS, whole.words)

    def _frequent(self, of: list[int], known: frozenset[str] = frozenset()) -> str | None:
        """The phrase, beside `known`, that most messages of `of` have; None where too few do."""
        counted = Counter(one for at in of for one in self._shingled[at] if one not in known)
        if not counted:
            return None
        phrase, n = min(counted.items(), key=lambda item: (-item[1], item[0]))
        return phrase if n >= self._fewest else None

    def _core(self, of: list[int]) -> frozenset[str]:
        counted = Counter(one for at in of for one in self._shingled[at])
        return frozenset(one for one, n in counted.items() if n >= NEARLY_ALL * len(of))


def _without(of: list[int], taken: list[int]) -> list[int]:
    gone = set(taken)
    return [at for at in of if at not in gone]


def _new_words(phrases: frozenset[str], known: frozenset[str]) -> int:
    """How many different words `phrases` have beside those of `known`."""
    found, old = (set(" ".join(of).split()) for of in (phrases, known))
    return sum(words(word) for word in found - old)


def _shingles(text: str) -> frozenset[str]:
    tokens = [token.strip() for token in tokenize(text)]
    if len(tokens) > 2 * _HEAD:
        tokens = [*tokens[:_HEAD], *tokens[-_HEAD:]]
    runs = zip(*(tokens[at:] for at in range(SHINGLE)), strict=False)
    return frozenset(" ".join(run) for run in runs)

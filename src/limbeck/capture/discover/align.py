"""The template that many texts were made from: what all of them have, and named places between."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from limbeck.capture.discover.tokens import is_passing, looks_like_dates, tokenize, words
from limbeck.capture.template import escape, match, parse

NEARLY_ALL = 0.95
"""A run of tokens is constant where so large a share of the texts has it."""
FITS = 0.9
"""A template is worth naming where so large a share of the texts matches it."""
SENTENCE = 5
"""From so many words on, a value is taken for a sentence."""
_LEADERS = 8
_VALUES = 200
_JOINED = tuple("-/:.,")


class Fitted(NamedTuple):
    """A template, and the share of the texts that match it."""

    template: str
    share: float

    @property
    def words(self) -> int:
        """Words of the template that are not places."""
        return words(" ".join(parse(self.template)[0]))


def find_template(texts: Sequence[str], enough: float = FITS) -> Fitted | None:
    """The template with the most words that at least a share `enough` of `texts` matches; None
    where there is none."""
    common = _common_pairs(texts)
    # A short text has the least in it that repeats a constant by accident.
    leaders = sorted(set(texts), key=lambda text: (len(text), text))[:_LEADERS]
    best: Fitted | None = None
    for leader in leaders:
        fitted = _fit(_runs(leader, common), texts, enough)
        if fitted is not None and (best is None or fitted.words > best.words):
            best = fitted
    return best


def _common_pairs(texts: Sequence[str]) -> set[tuple[str, str]]:
    """Neighbouring tokens that nearly all texts have; the ends of a text count as tokens."""
    counted: Counter[tuple[str, str]] = Counter()
    for text in texts:
        counted.update(set(_pairs(text)))
    return {pair for pair, n in counted.items() if n >= NEARLY_ALL * len(texts)}


def _pairs(text: str) -> list[tuple[str, str]]:
    return list(pairwise(_ended(text)))


def _ended(text: str) -> list[str]:
    return ["", *tokenize(text.strip()), ""]


def _runs(leader: str, common: set[tuple[str, str]]) -> list[str]:
    """The constant pieces of `leader`: the first stands at its start and the last at its end, empty
    where nothing constant does."""
    tokens = _ended(leader)
    runs = [[tokens[0]]]
    for one, two in pairwise(tokens):
        if (one, two) in common:
            runs[-1].append(two)
        else:
            runs.append([two])
    if len(runs) == 1:
        return ["".join(runs[0])]
    kept = [runs[0], *(run for run in runs[1:-1] if _says_something(run)), runs[-1]]
    pieces = [_trimmed(run, start=at > 0, end=at < len(kept) - 1) for at, run in enumerate(kept)]
    first, *inner, last = pieces
    return [first, *(piece for piece in inner if piece.strip()), last if last.strip() else ""]


_MARKUP = re.compile(r"\n|</?\w|\"\w+\"\s*:")


def _says_something(run: Sequence[str]) -> bool:
    """Whether a run between two places is a phrase, a label on a line of its own or markup, and not
    words that such texts have anyway."""
    text = "".join(run)
    return len(run) > 1 and (words(text) >= 3 or bool(_MARKUP.search(text)))


def _trimmed(run: list[str], *, start: bool, end: bool) -> str:
    """The run without parts of a date or number at an edge where a place is: they would change
    tomorrow."""
    run = list(run)
    while end and run and _passes(run, -1, -2):
        run.pop()
    while start and run and _passes(run, 0, 1):
        run.pop(0)
    return "".join(run)


def _passes(run: list[str], edge: int, inner: int) -> bool:
    if is_passing(run[edge]):
        return True
    return len(run) > 1 and run[edge].strip() in _JOINED and is_passing(run[inner])


def _fit(pieces: list[str], texts: Sequence[str], enough: float) -> Fitted | None:
    """The template of `pieces` that fits, without those that keep it from fitting."""
    while len(pieces) > 1:
        values = [found for text in texts if (found := _values(pieces, text)) is not None]
        if len(values) >= enough * len(texts):
            grown = _grown(pieces, values)
            if not any(piece.strip() for piece in grown):
                return None
            named = _named(grown, [found for text in texts if (found := _values(grown, text))])
            return Fitted(named, len(values) / len(texts)) if named else None
        if len(pieces) == 2:
            return None
        # The shortest piece is the likeliest accident.
        inner = range(1, len(pieces) - 1)
        pieces.pop(min(inner, key=lambda at: len(pieces[at])))
    return None


def _values(pieces: Sequence[str], text: str) -> list[str] | None:
    found = match(_numbered(pieces), text)
    return None if found is None else list(found.values())


def _numbered(pieces: Sequence[str]) -> str:
    return _template(pieces, [f"p{at}" for at in range(len(pieces) - 1)])


def _template(pieces: Sequence[str], names: Sequence[str]) -> str:
    made = escape(pieces[0])
    for name, piece in zip(names, pieces[1:], strict=True):
        made += f"{{{name}}}{escape(piece)}"
    return made


def _grown(pieces: Sequence[str], values: Sequence[Sequence[str]]) -> list[str]:
    """The pieces with the white space and quotes that stand at the edge of every value."""
    grown = list(pieces)
    for at in range(len(pieces) - 1):
        column = [row[at] for row in values]
        before = re.match(r"[^\w]*", _common_start(column))
        assert before is not None
        grown[at] += before[0]
        left = [value[len(before[0]) :] for value in column]
        tail = _common_start([value[::-1] for value in left])[::-1]
        after = re.search(r"[^\w.!?]*$", tail)
        assert after is not None
        grown[at + 1] = after[0] + grown[at + 1]
        # A sign that ends the sentence of every value belongs to the value.
        if re.match(r"[.?!](\s|$)", grown[at + 1]) and median(map(words, column)) >= SENTENCE:
            grown[at + 1] = grown[at + 1][1:]
    return grown


def _common_start(values: Sequence[str]) -> str:
    # Of texts in order, the first and the last differ the most.
    first, last = min(values), max(values)
    same = next((at for at, sign in enumerate(first) if last[at : at + 1] != sign), len(first))
    return first[:same]


def _named(pieces: Sequence[str], values: Sequence[Sequence[str]]) -> str | None:
    names: list[str] = []
    for at in range(len(pieces) - 1):
        name = _field_name(pieces[at], [row[at] for row in values[:_VALUES]])
        name = name or ("text" if len(pieces) == 2 else f"field_{at + 1}")
        while name in names:
            stem, _, number = name.rpartition("_")
            name = f"{stem}_{int(number) + 1}" if stem and number.isdecimal() else f"{name}_2"
        names.append(name)
    made = _template(pieces, names)
    # A brace just before a place reads as something else; such a template is none.
    return made if parse(made) == (tuple(pieces), tuple(names)) else None


_NAME = re.compile(r"[A-Z][\w'-]*(?: [A-Z][\w'-]*){0,2}")
_LABELS = (
    re.compile(r"<([A-Za-z][\w-]{0,30})>\s*$"),
    re.compile(r"\"([A-Za-z]\w{0,30})\"\s*:\s*\"?$"),
    re.compile(r"([A-Za-z][A-Za-z _-]{0,40}?)\s*[:=]\s*[\"'`(\[*]*\s*$"),
    re.compile(r"#+\s*([A-Za-z][A-Za-z _-]{0,40}?)\s*\n\s*$"),
)


def _field_name(before: str, values: Sequence[str]) -> str | None:
    """A name for the place that follows `before`: its label, or what its values are."""
    if looks_like_dates(values):
        return "date"
    for label in _LABELS:
        found = label.search(before)
        if found:
            name = re.sub(r"[^a-z0-9]+", "_", found[1].lower()).strip("_")
            # Of a whole sentence only the end is a label.
            return "_".join(name.split("_")[-2:] if name.count("_") > 2 else [name])
    return "name" if all(map(_NAME.fullmatch, values)) else None

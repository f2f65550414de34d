"""What stands in a text where something was taken out: `[EMAIL_1]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from limbeck.capture.detectors.custom import Claim

_PLACEHOLDER = re.compile(r"\[([A-Z][A-Z0-9_]{0,31})_(\d{1,9})\]")
_BEFORE_NUMBER = re.compile(r'(":|[\[,])\s*(-?)\Z')
_AFTER_NUMBER = re.compile(r"\s*[,\]}]")
_WRITTEN_IN_MANY_WAYS = frozenset({"phone", "card", "iban"})


class Numbering:
    """Numbers for the values of one trace: the same value gets the same number.

    `texts` gives all texts of the trace. A placeholder that already stands in one of them keeps its
    number for itself.
    """

    def __init__(self, texts: Callable[[], Iterable[str]]) -> None:
        self._texts = texts
        self._given: dict[tuple[str, str], str] = {}
        self._last: dict[str, int] | None = None

    def placeholder(self, kind: str, value: str) -> str:
        """What stands for `value` everywhere in the trace."""
        key = kind, _same(kind, value)
        if key not in self._given:
            last = self._taken()
            name = kind.upper()
            last[name] = last.get(name, 0) + 1
            self._given[key] = f"[{name}_{last[name]}]"
        return self._given[key]

    def _taken(self) -> dict[str, int]:
        # Only once there is something to take out: most traces never come here.
        if self._last is None:
            self._last = {}
            for text in self._texts():
                for name, number in _PLACEHOLDER.findall(text):
                    self._last[name] = max(self._last.get(name, 0), int(number))
        return self._last


def replaced(text: str, claims: Sequence[Claim], numbering: Numbering) -> str:
    """`text` with a placeholder for each claim; they are in order and apart.

    A number of JSON becomes a string of JSON, so that the text around it still parses.
    """
    pieces, done = [], 0
    for start, end, kind in claims:
        placeholder = numbering.placeholder(kind, text[start:end])
        if _is_json_number(text, start, end):
            start -= text[start - 1] == "-"
            placeholder = f'"{placeholder}"'
        pieces += [text[done:start], placeholder]
        done = end
    return "".join([*pieces, text[done:]])


def outside(text: str, claims: Iterable[Claim]) -> list[Claim]:
    """The parts of `claims` that lie in no placeholder."""
    taken = [found.span() for found in _PLACEHOLDER.finditer(text)] if "[" in text else []
    if not taken:
        return list(claims)
    parts = []
    for start, end, kind in claims:
        for first, last in taken:
            if first < end and start < last:
                parts.append(Claim(start, first, kind))
                start = last
        parts.append(Claim(start, end, kind))
    return [part for part in parts if text[part.start : part.end].strip()]


def apart(claims: Sequence[Claim]) -> list[Claim]:
    """Claims in order, of which none overlap: those that do are one, of the kind of the longest."""
    joined: list[Claim] = []
    longest = 0
    for claim in sorted(claims, key=lambda one: one.start):
        length = claim.end - claim.start
        if joined and claim.start < joined[-1].end:
            start, end, kind = joined[-1]
            joined[-1] = Claim(start, max(end, claim.end), claim.kind if length > longest else kind)
            longest = max(longest, length)
        else:
            joined.append(claim)
            longest = length
    return joined


def _same(kind: str, value: str) -> str:
    """Equal for the ways in which one value is written."""
    if kind in _WRITTEN_IN_MANY_WAYS:
        value = "".join(filter(str.isalnum, value))
    return value if kind == "key" else value.casefold()


def _is_json_number(text: str, start: int, end: int) -> bool:
    if not text[start:end].isdecimal() or not text[start:end].isascii():
        return False
    before = _BEFORE_NUMBER.search(text, max(0, start - 80), start)
    if before is None or not _AFTER_NUMBER.match(text, end):
        return False
    # A comma stands before a number in prose too; there quotes would only be odd.
    return before[1] == '":' or text.lstrip()[:1] in ("[", "{", "`")

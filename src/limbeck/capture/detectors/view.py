"""A text as the detectors read it: plain digits, spaces and signs, without what hides among them.

Fullwidth and other digits, dashes and spaces of all kinds become those of ASCII, escapes of JSON
become spaces, and signs of no width go. Places found in the view are places in the text.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_SPACES = (
    "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_ZEROS = (
    "\u0660\u06f0\u07c0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6"
    "\u0c66\u0ce6\u0d66\u0e50\u0ed0\u0f20\u1040\u17e0\u1810"
)
"""The first of each ten digits of the alphabets of today."""
_DIGITS = "".join(f"{zero}-{chr(ord(zero) + 9)}" for zero in _ZEROS)
_ODD = re.compile(f"[{_SPACES}{_DASHES}{_DIGITS}\uff01-\uff5e]")
# A quote behind an even number of backslashes ends a string of JSON, and stays.
_ESCAPE = re.compile(r"\\+(?:u[0-9A-Fa-f]{4}|[nrtbf])|(?:\\\\)*\\[\"/]|\\+")


class View:
    """`plain` has the places of `text`, or fewer where signs of no width were left out."""

    __slots__ = ("_places", "plain")

    def __init__(self, text: str) -> None:
        self._places: list[int] | None = None
        plain = text
        if not text.isascii():
            if _HIDDEN.search(plain):
                self._places = [at for at, one in enumerate(text) if one not in _INVISIBLE]
                plain = _HIDDEN.sub("", plain)
            plain = _ODD.sub(_as_ascii, plain)
        if "\\" in plain:
            plain = _ESCAPE.sub(_as_spaces, plain)
        self.plain = plain

    def place(self, start: int, end: int) -> tuple[int, int]:
        """The span of the text that the span of `plain` stands for; `start` is before `end`."""
        if self._places is None:
            return start, end
        return self._places[start], self._places[end - 1] + 1


def _as_ascii(found: re.Match[str]) -> str:
    one = found[0]
    if one in _SPACES:
        return " "
    if one in _DASHES:
        return "-"
    if one.isdecimal():
        return str(unicodedata.decimal(one))
    return chr(ord(one) - 0xFEE0)


def _as_spaces(found: re.Match[str]) -> str:
    return " " * len(found[0])

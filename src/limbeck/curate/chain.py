"""The text of a chain divided into sentences, words and numbers."""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n\s*")
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_NUMBER = re.compile(r"(?<![\w.,])[-−]?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w])")


def sentences(text: str) -> list[str]:
    """The sentences and lines of `text`; a decimal point ends no sentence."""
    return [part for part in (piece.strip() for piece in _SENTENCE.split(text)) if part]


def words(text: str) -> list[str]:
    """The words of `text` in lower case; a number is a word, punctuation is none."""
    return _WORD.findall(text.casefold())


def numbers(text: str) -> list[str]:
    """The numbers of `text` without `$` and thousands separators, in order.

    A run of more than 60 characters is no number that a chain computes with, and is left out.
    """
    return [
        found.replace(",", "").replace("$", "").replace("−", "-")
        for found in _NUMBER.findall(text)
        if len(found) <= 60
    ]


def excerpt(text: str, length: int = 80) -> str:
    """`text` on one line, at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"

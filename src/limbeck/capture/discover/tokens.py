"""Texts as tokens, and what in them is a date, a number or an address."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+\Z")
_CALENDAR = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|"
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
)
_NAMES = frozenset(_CALENDAR.split("|"))
_PASSING = re.compile(
    rf"https?://\S+|[\w.+-]+@[\w-]+\.[\w.]+|[\w.+-]*\d(?:[\w.:/+-]*\w)?|\b(?:{_CALENDAR})\b",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"0(?:[ ,]+0)+")


def tokenize(text: str) -> list[str]:
    """The words and signs of `text`, each with the white space before it: joined, they are `text`."""
    return _TOKEN.findall(text)


def mask(text: str) -> str:
    """`text` with every date, number and address as `0`: what differs only in those is equal.

    A month without a day counts too; so does the word "may".
    """
    return _SEVERAL.sub("0", _PASSING.sub("0", text))


def is_passing(token: str) -> bool:
    """Whether a token is a part of a date or a number."""
    word = token.strip().lower()
    return any(sign.isdigit() for sign in word) or (word in _NAMES and word != "may")


def looks_like_dates(values: Sequence[str]) -> bool:
    """Whether every one of `values` is only dates or times."""
    masked = {mask(value).strip(" ,.;()").removesuffix("UTC").strip() for value in values}
    return bool(values) and masked == {"0"} and all(_datelike(value) for value in values)


def _datelike(value: str) -> bool:
    named = any(word.lower() in _NAMES for word in re.findall(r"[A-Za-z]+", value))
    return named or bool(re.search(r"\d[-/:.]\d+[-/:.]\d|\d:\d\d", value))


def words(text: str) -> int:
    """How many words `text` has."""
    return len(re.findall(r"[^\W\d_]+", text))

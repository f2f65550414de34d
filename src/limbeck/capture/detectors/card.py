"""Numbers of payment cards: 13 to 19 digits in the groups of a card, with a right check digit.

One number in ten passes the check digit by chance, so the first digits must be those of an issuer,
and a number that the text calls an article or a tracking number is let pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import luhn

from limbeck.capture.detectors.naming import named_otherwise

_RUN = re.compile(r"[0-9](?:[ .-]?+[0-9])*+")
_SHAPES = re.compile(
    r"\d{4}([ .-])\d{4}\1\d{4}\1\d{1,7}(?:\1\d{1,3})?"
    r"|3\d{3}([ .-])\d{6}\2\d{4,5}"
    r"|\d{13,19}"
)
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720|220[0-4])\d{12}"  # Mastercard, Mir
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}(?:\d{2})?"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|6(?:011|5\d\d|4[4-9]\d|2\d\d|0\d\d|3\d\d|7\d\d)\d{9,15}"  # Discover, UnionPay, Maestro
    r"|5[0678]\d{11,17}"  # Maestro
)
_SEPARATORS = str.maketrans("", "", " .-")


def find(text: str) -> Iterator[tuple[int, int]]:
    """A security code that stands right behind the number in the same form is no part of it."""
    for run in _RUN.finditer(text):
        if run.end() - run.start() < 13:
            continue
        for shape in _SHAPES.finditer(text, *run.span()):
            start, end = shape.span()
            if _stands_alone(text, start, end):
                whole = _longest_card(text, start, end)
                if whole and not named_otherwise(text, start):
                    yield start, whole


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if (
        before[-1:].isalnum()
        or before[-1:] == "+"
        or (before[-1:] in (".", "-") and before[:1].isdigit())
    ):
        return False
    if after[:1].isalnum() or after[:1] == "_":
        return False
    return not (after[:1] in (".", "-", ",") and after[1:].isdigit())


def _longest_card(text: str, start: int, end: int) -> int | None:
    """Where the longest card number that begins at `start` ends, cut only between groups."""
    while end > start:
        digits = text[start:end].translate(_SEPARATORS)
        if len(digits) < 13:
            return None
        if _ISSUERS.fullmatch(digits) and luhn.is_valid(digits):
            return end
        end = max(text.rfind(mark, start, end) for mark in " .-")
    return None

"""International bank account numbers: registered country, structure and check digits (ISO 13616).

Misses account numbers in national forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stdnum import iban

# The check digits are looked for first: two letters stand everywhere in a text.
_CHECK_DIGITS = re.compile(r"[0-9][0-9](?=[ -]?[0-9A-Za-z]{4})")
_ACCOUNT = re.compile(
    r"[0-9A-Za-z]{11,30}|(?:([ -])[0-9A-Za-z]{4})(?:\1[0-9A-Za-z]{4}){1,6}(?:\1[0-9A-Za-z]{1,3})?"
)
_SHORTEST, _LONGEST = 15, 34


def find(text: str) -> Iterator[tuple[int, int]]:
    """In one piece or in groups, in capitals or not."""
    at = 0
    while (digits := _CHECK_DIGITS.search(text, at)) is not None:
        at = digits.end()
        start = digits.start() - 2
        country = text[start : start + 2]
        if start < 0 or not (country.isascii() and country.isalpha()):
            continue
        if start > 0 and text[start - 1].isalnum():
            continue
        account = _ACCOUNT.match(text, digits.end())
        end = account and _end(text, start, account.end())
        if end:
            yield start, end
            at = end


def _end(text: str, start: int, last: int) -> int | None:
    """Where the number ends: what follows it may look like another group of it."""
    length = 0
    for at in range(start, last):
        length += text[at].isalnum()
        whole = length >= _SHORTEST and not text[at + 1 : at + 2].isalnum()
        if whole and text[at].isalnum() and _is_iban(text[start : at + 1]):
            return at + 1
        if length >= _LONGEST:
            break
    return None


def _is_iban(text: str) -> bool:
    """The check digits first: the register takes ten times as long."""
    plain = "".join(filter(str.isalnum, text))
    turned = plain[4:] + plain[:4]
    if int("".join(str(int(sign, 36)) for sign in turned)) % 97 != 1:
        return False
    return bool(iban.is_valid(plain, check_country=False))

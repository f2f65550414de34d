"""Telephone numbers: international, in the common national forms, and whatever is called one.

The plans of the countries are those of phonenumbers (after Google's libphonenumber). They are asked
only where the shape is that of a telephone number: dates, prices, versions and order numbers are
possible numbers of some country.

Misses national numbers in other shapes, without separators or of few digits where no word says what
they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
from phonenumbers import PhoneNumber

from limbeck.capture.detectors.naming import named_otherwise, named_phone

_RUN = re.compile(r"[+(0-9](?:[ .\-/()]{0,2}+[0-9]){0,24}+")
_DATE = re.compile(
    r"\d{1,2}([./ -])\d{1,2}\1(?:\d\d){1,2}(?!\1?\d)|(?:19|20)\d\d([./-])\d{1,2}\2\d{1,2}(?!\d)"
)
_INTERNATIONAL = re.compile(r"(?:\+|00)(?:[ .\-/()]{0,2}\d){7,15}")
_CALLED_PHONE = re.compile(r"\+?\(?\d(?:[ .\-/()]{0,2}\d){6,14}")
_NORTH_AMERICA = re.compile(
    r"(?:1([ .-]))?(?:\([2-9]\d\d\) ?\d|[2-9]\d\d([ .-])[2-9])\d\d([ .-])\d{4}"
)
_FROM_ZERO = re.compile(r"\(?0\d{1,5}\)?(?:[ .\-/]{1,2}\d{2,8}){1,6}|0\d{9,10}")
_GROUPED = re.compile(
    r"\(\d{2}\) ?9?\d{4}-\d{4}"  # Brazil
    r"|[6-9]\d{4} \d{5}"  # India
    r"|1[3-9]\d[ -]\d{4}[ -]\d{4}"  # China
    r"|[67]\d\d(?: \d\d){3}"  # Spain
)
_TRUNK_ZERO = (44, 49, 33, 31, 32, 41, 43, 61, 81)
"""Codes of countries whose national numbers begin with a zero that is not sent."""
_ITALY = 39
_MOBILE = phonenumbers.PhoneNumberType.MOBILE
_SIGNS = str.maketrans("", "", " .-/()+")


def find(text: str) -> Iterator[tuple[int, int]]:
    """In each run of digits and signs the first place where a number begins, then on behind it."""
    for run in _RUN.finditer(text):
        at, last = run.span()
        if last - at < 7:
            continue
        while last - at >= 7:
            end = None
            if _begins(text, at):
                date = _DATE.match(text, at)
                if date is not None:
                    at = _next_group(text, date.end() - 1, last)
                    continue
                end = _number(text, at, last)
                if end is not None:
                    yield at, end
            at = end or _next_group(text, at, last)


def _begins(text: str, start: int) -> bool:
    if not (text[start].isdigit() or text[start] in "+("):
        return False
    before, sign = text[max(0, start - 2) : max(0, start - 1)], text[max(0, start - 1) : start]
    if sign.isalnum() or sign in ("_", "$", "€", "£", "+"):
        return False
    # Part of a longer number or of a name with digits: 2.2025550132, 10:2025550132, A-2025550132.
    return not (
        before.isdigit() if sign in (".", ",", "/", ":") else sign == "-" and before.isalnum()
    )


def _ends(text: str, end: int) -> bool:
    sign, after = text[end : end + 1], text[end + 1 : end + 2]
    if sign.isalnum() or sign in ("_", "%", "€", "$", "£", "@"):
        return False
    return not (sign in (".", "-", ",", "/", ":") and after.isdigit())


def _next_group(text: str, at: int, last: int) -> int:
    at += 1
    while at < last and text[at].isdigit() and text[at - 1].isdigit():
        at += 1
    while at < last and not (text[at].isdigit() or text[at] in "+("):
        at += 1
    return at


def _number(text: str, start: int, last: int) -> int | None:
    """Where the number that begins at `start` ends, or None if none does."""
    found = _INTERNATIONAL.match(text, start, last)
    if found and (end := _international(text, start, found.end())):
        return end
    found = _CALLED_PHONE.match(text, start, last)
    if found and _ends(text, found.end()) and named_phone(text, start):
        return found.end()
    for shape, is_one in _NATIONAL:
        found = shape.match(text, start, last)
        while found:
            if _ends(text, found.end()) and is_one(found):
                return None if named_otherwise(text, start) else found.end()
            found = shape.fullmatch(text, start, _without_last_group(text, start, found.end()))
    return None


def _international(text: str, start: int, end: int) -> int | None:
    """The longest valid number, cut between groups; without one, the longest of a possible length."""
    # An order number may begin with two zeros: only a valid number is one then.
    plus = text[start] == "+"
    possible = None
    while end - start > 7:
        number = _parsed(text[start:end] if plus else "+" + text[start + 2 : end])
        if number is not None and _ends(text, end):
            if phonenumbers.is_valid_number(number):
                return end
            if possible is None and plus and phonenumbers.is_possible_number(number):
                possible = end
        end = _without_last_group(text, start, end)
    return possible


def _without_last_group(text: str, start: int, end: int) -> int:
    """Where the number ends that lacks the last group of digits; `start` where it has but one."""
    while end > start and text[end - 1].isdigit():
        end -= 1
    while end > start and not text[end - 1].isdigit():
        end -= 1
    return end


def _is_north_american(found: re.Match[str]) -> bool:
    signs = {sign for sign in found.groups() if sign}
    if len(signs) > 1 and found[2]:
        return False
    # Three groups with spaces may be any numbers; with other signs the shape says enough.
    if signs != {" "} or "(" in found[0]:
        return True
    national = int(found[0].translate(_SIGNS)[-10:])
    return phonenumbers.is_valid_number(PhoneNumber(country_code=1, national_number=national))


def _is_from_zero(found: re.Match[str]) -> bool:
    digits = found[0].translate(_SIGNS)
    if not 8 <= len(digits) <= 12:
        return False
    numbers = [PhoneNumber(country_code=code, national_number=int(digits)) for code in _TRUNK_ZERO]
    if digits == found[0]:
        # In one piece it may be any number, so that only the narrow ranges of mobiles count.
        return any(phonenumbers.number_type(number) == _MOBILE for number in numbers)
    numbers.append(
        PhoneNumber(country_code=_ITALY, national_number=int(digits), italian_leading_zero=True)
    )
    return any(map(phonenumbers.is_valid_number, numbers))


_NATIONAL = (
    (_NORTH_AMERICA, _is_north_american),
    (_FROM_ZERO, _is_from_zero),
    (_GROUPED, bool),
)


def _parsed(text: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None

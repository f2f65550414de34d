"""A number, compared by value and not by spelling."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from limbeck.types import AnswerForm, Verdict
from limbeck.verify.wording import trim

DIGITS = 12
"""Significant decimal digits kept of a value that has no finite decimal form, such as 1/3."""

_NAMED = re.compile(r"^(?:[A-Za-z]\w*\s*)?=\s*")
"""`x =` before a number."""

_NUMBER = re.compile(
    r"""^(?P<sign>[-+]?)\s*(?:US\$|USD|EUR|GBP|[$€£¥])?\s*(?P<sign_after>[-+]?)
        (?P<value>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)
        (?P<exponent>[eE][-+]?\d{1,2})?
        (?:\s*/\s*(?P<below>\d+))?
        (?P<unit>.*)$""",
    re.VERBOSE | re.DOTALL,
)
_UNIT = re.compile(
    r"^\s*(?:[%°€£¥$]|/\s*[A-Za-z]|(?<=\s)[A-Za-z]|[A-Za-z]{2,})[A-Za-z%°²³/().\s-]*$"
)
_SCALED = re.compile(
    r"\b(?:hundred|thousand|million|billion|trillion|dozen|score|half|quarter|third|k|m|bn|or)s?\b",
    re.IGNORECASE,
)
"""Words after a number that change its value (or offer another): never a plain unit."""

_LONGEST = 1000
"""Characters of an answer that may still be one number."""

_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,14}")
"""What is in form already."""

_BOXED = re.compile(r"^\$?\\boxed\{(.*)\}\$?$", re.DOTALL)


def normalize(form: AnswerForm, text: str, choices: tuple[str, ...] = ()) -> str | None:
    """A plain decimal number without separators (`-1234.5`); None where it is not one number.

    A currency sign before and a unit after it are left out. `1,5` and `3 million` are not taken:
    what they mean depends on who wrote them.
    """
    if _PLAIN.fullmatch(text):
        return text
    value = parse(text)
    return None if value is None else plain_decimal(value)


def judge(form: AnswerForm, answer: str, truth: str, choices: tuple[str, ...] = ()) -> Verdict:
    """1.0 where the values differ by no more than the tolerance of the task."""
    got, wanted = parse(answer), parse(truth)
    if got is None:
        return Verdict(score=0.0, reason=f"{answer!r} is not one number")
    if wanted is None:
        return Verdict(score=0.0, reason=f"the truth {truth!r} is not one number")
    shown = plain_decimal(got)
    if got == wanted or abs(got - wanted) <= Fraction(str(form.tolerance)):
        return Verdict(score=1.0, reason=f"{shown} is right")
    return Verdict(score=0.0, reason=f"{shown}; right is {plain_decimal(wanted)}")


def parse(text: str) -> Fraction | None:
    """The exact value of the one number that `text` says, or None."""
    if _PLAIN.fullmatch(text):
        return Fraction(int(text))
    # Python refuses to read thousands of digits, and a looping teacher writes them.
    if len(text) > _LONGEST:
        return None
    text = trim(text.replace("−", "-").replace("\N{NO-BREAK SPACE}", " "))
    boxed = _BOXED.match(text)
    text = trim(boxed[1]) if boxed else text
    if text.startswith("$") and text.endswith("$") and len(text) > 2:
        text = text[1:-1].strip()
    found = _NUMBER.match(_NAMED.sub("", text))
    if found is None or (found["sign"] and found["sign_after"]):
        return None
    unit = found["unit"]
    if unit.strip() and (not _UNIT.match(unit) or _SCALED.search(unit)):
        return None
    value = Fraction(Decimal(found["value"].replace(",", "") + (found["exponent"] or "")))
    if found["below"]:
        if int(found["below"]) == 0:
            return None
        value /= int(found["below"])
    return -value if "-" in (found["sign"], found["sign_after"]) else value


def plain_decimal(value: Fraction) -> str:
    """`value` without exponent and trailing zeros; exact where a finite decimal is."""
    below = value.denominator
    twos = fives = 0
    while below % 2 == 0:
        below, twos = below // 2, twos + 1
    while below % 5 == 0:
        below, fives = below // 5, fives + 1
    if below == 1:
        places = max(twos, fives)
        whole = value.numerator * 10**places // value.denominator
        digits = str(abs(whole)).rjust(places + 1, "0")
        text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
        return f"-{text}" if whole < 0 else text
    context = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
    number = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"{number.normalize(context):f}"

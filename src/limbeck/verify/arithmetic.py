"""The value of an arithmetic expression: `+ - * /`, parentheses, signs; nothing is executed."""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 400
"""Characters; no answer is longer, and the depth of the recursion stays bounded by it."""

_TOKEN = re.compile(r"\s*(?:(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)|([-+*/()]))")
_UNIT_AFTER = re.compile(r"(?<=[\d)])\s*[A-Za-z%][A-Za-z\s%]*$")


def evaluate(expression: str) -> Fraction | None:
    """The exact value; None where it is no expression, or divides by zero.

    `84 / 2 = 42` is taken only where both sides have the same value.
    """
    text = expression.strip().rstrip(".").strip()
    if len(text) > LONGEST:
        return None
    text = text.replace("×", "*").replace("÷", "/").replace("−", "-").replace("$", "")
    values = {_value(side) for side in _UNIT_AFTER.sub("", text).split("=")}
    return values.pop() if len(values) == 1 else None


def _value(text: str) -> Fraction | None:
    tokens = []
    text = text.strip()
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            return None
        tokens.append((found[1] or found[2]).replace(",", ""))
        place = found.end()
    parser = _Parser(tokens)
    try:
        value = parser.sum()
    except (_NotArithmeticError, ZeroDivisionError):
        return None
    return value if parser.done else None


class _NotArithmeticError(Exception):
    pass


class _Parser:
    """sum := product (+ product)*; product := factor (* factor)*; factor := -factor | (sum) | n"""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def done(self) -> bool:
        return self._place == len(self._tokens)

    def sum(self) -> Fraction:
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while (sign := self._take("*", "/")) is not None:
            other = self._factor()
            value = value * other if sign == "*" else value / other
        return value

    def _factor(self) -> Fraction:
        if self.done:
            raise _NotArithmeticError
        sign = self._take("+", "-")
        if sign is not None:
            return self._factor() * (-1 if sign == "-" else 1)
        if self._take("(") is not None:
            value = self.sum()
            if self._take(")") is None:
                raise _NotArithmeticError
            return value
        number = self._tokens[self._place]
        if not number[0].isdigit() and number[0] != ".":
            raise _NotArithmeticError
        self._place += 1
        return Fraction(number.rstrip(".") or "0")

    def _take(self, *wanted: str) -> str | None:
        if not self.done and self._tokens[self._place] in wanted:
            self._place += 1
            return self._tokens[self._place - 1]
        return None

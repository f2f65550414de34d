"""The formulas that stand in running text: found, divided at their relations, and evaluated.

A formula is read only as far as it can be read with certainty. A variable, a power, a clock time or
"20 % of" beside it makes all of it unreadable, rather than half of it wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<bad>\d+:\d+|\*\*|[\^√!°∑∫]|\d+(?:st|nd|rd|th)\b|\d+(?!x\d)[A-Za-z_]\w*)
    | (?P<number>(?:[$€£][ ]?)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[ ]?%)?)
    | (?P<arrow>=>|->|→)
    | (?P<compare><=|>=|!=|[<>≤≥≠])
    | (?P<equals>==?|≈|\b(?:is|equals|gives|makes)\b)
    | (?P<operator>[-+*/×·÷−–]|(?<=[\d)])[ ]?x[ ]?(?=[\d($])|\b(?:plus|minus|times|divided\ by)\b)
    | (?P<open>\() | (?P<close>\))
    | (?P<word>[A-Za-z_]\w*(?:['’]\w+)?)
    | (?P<line>\n)
    | (?P<other>\S)
    """,
    re.VERBOSE,
)
_BULLET = re.compile(r"\n[ \t]*[-*+•]\s")
_MARKUP = re.compile(r"(?m)^[ \t]*[-*+•]\s+|(?<![\w)])\*\*|\*\*(?![\w(])|<<[^<>\n]*>>")
"""List bullets, bold marks, and the notes of a calculator (`4 * 5 = <<4*5=20>>20`)."""
_BREAK = re.compile(r"[.,:;?\n]")
"""Where every formula ends, if space follows."""
_FORMULA = re.compile(
    r"[\d)%](?:\s*[A-Za-z]+){0,2}\s*"
    r"(?:[-+*/×·÷−–<>≤≥≠]|!=|x(?=[ ]?[\d($])|\b(?:plus|minus|times|divided)\b)[^\n]{0,12}\d"
)
"""What a text without anything to re-compute does not have."""
_OPERATORS = {
    "−": "-", "–": "-", "×": "*", "·": "*", "x": "*", "÷": "/",
    "plus": "+", "minus": "-", "times": "*", "divided by": "/",
}  # fmt: skip
_NOT_A_UNIT = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at away because but by each for from go had has have he her his i if "
        "in into it its left less me more my no not of on or our out over per remain remaining "
        "she so still than that the their then there these they this those to total up was we "
        "were which while will with you your ",
    )
)
_SCALES = frozenset(
    re.findall(
        r"\w+",
        "of half twice double triple third thirds quarter quarters fourth fourths dozen dozens "
        "hundred thousand million billion percent root squared cubed mod modulo remainder per "
        "log ",
    )
)
"""Words that change the value of the number beside them: what they touch is not checked."""


Value = int | Fraction
"""A number without an error; most are whole, and reckoned with ten times as fast as such."""


class Token(NamedTuple):
    """A piece of running text: its kind, itself in lower case, and where it stands.

    The kinds are the names of the groups of the pattern; `bad` is part of a formula that cannot be
    read, and makes it unreadable.
    """

    kind: str
    text: str
    start: int
    end: int


def operators(side: list[Token]) -> set[str]:
    """The operators of a formula, each as one of `+ - * /`."""
    return {_OPERATORS.get(token.text, token.text) for token in side if token.kind == "operator"}


def without_markup(text: str) -> str:
    """`text` without the marks that would be read as operators or comparisons."""
    # The pattern as a whole is tried at every character; these are found at a glance.
    marked = "**" in text or "<<" in text or _BULLET.search(f"\n{text}")
    return _MARKUP.sub("", text) if marked else text


def passages(text: str) -> Iterator[tuple[int, int]]:
    """The places (start, end) of a text, between the marks at which every formula ends, that may hold
    a formula."""
    start = 0
    for found in _BREAK.finditer(text):
        end = found.end()
        if found[0] != "\n" and not text[end : end + 1].isspace():
            continue
        if _FORMULA.search(text, start, end):
            yield start, end
        start = end
    if _FORMULA.search(text, start):
        yield start, len(text)


def _tokens(text: str, start: int, end: int) -> Iterator[Token]:
    for match in _TOKEN.finditer(text, start, end):
        kind = match.lastgroup or "other"
        yield Token(kind, match.group().strip().lower(), match.start(), match.end())
    yield Token("line", "\n", end, end)


Sides = tuple[list[Token], Token, list[Token]]


def sides(text: str) -> Iterator[Sides]:
    """What stands left and right of each relation, up to where the formula breaks off."""
    for start, end in passages(text):
        yield from sides_of_passage(text, start, end)


def sides_of_passage(text: str, start: int, end: int) -> Iterator[Sides]:
    """The same of one of the `passages` of `text`."""
    parts: list[list[Token]] = [[]]
    relations: list[Token] = []
    before: Token | None = None
    tainted = False

    def closed() -> Iterator[Sides]:
        if relations and not tainted:
            formulas = zip(parts, relations, parts[1:], strict=False)
            yield from (formula for formula in formulas if formula[0] and formula[2])

    for token in _tokens(text, start, end):
        side = parts[-1]
        if token.kind in ("number", "operator", "open", "close", "bad"):
            if not side and not relations and _scales(before, token):
                tainted = True
            side.append(token)
        elif token.kind in ("equals", "compare"):
            parts.append([])
            relations.append(token)
        elif token.kind == "word" and token.text in _SCALES and (side or relations):
            tainted = True
        elif token.kind == "word" and _is_unit(side, token):
            side.append(token)
        else:
            yield from closed()
            parts, relations, tainted = [[]], [], False
        before = token
    yield from closed()


def _scales(before: Token | None, first: Token) -> bool:
    """Whether what stands before a formula belongs to it, though it cannot be read."""
    if before is None or before.kind == "line":
        return False
    if first.kind == "operator" or before.text in _SCALES:
        return True
    return before.end == first.start and before.text in (".", ",")


def _is_unit(side: list[Token], token: Token) -> bool:
    """Up to two words after a number are its unit ("3 red apples + 2 red apples")."""
    if token.text in _NOT_A_UNIT or not side:
        return False
    tail = [item.kind for item in side[-2:]]
    return tail[-1] == "number" or tail == ["number", "word"]


def evaluate(side: list[Token]) -> Value | None:
    """The value of a formula by precedence climbing; None where it is not one."""
    tokens = [token for token in side if token.kind != "word"]
    place = 0

    def peek() -> str:
        return tokens[place].kind if place < len(tokens) else "end"

    def symbol_here() -> str:
        return _OPERATORS.get(tokens[place].text, tokens[place].text)

    def atom() -> Value:
        nonlocal place
        kind = peek()
        if kind == "number":
            token = tokens[place]
            place += 1
            return value_of(token.text)
        if kind == "open":
            place += 1
            inner = expression(0)
            if peek() != "close":
                raise ValueError
            place += 1
            return inner
        if kind == "operator" and symbol_here() == "-":
            place += 1
            return -atom()
        raise ValueError

    def expression(level: int) -> Value:
        nonlocal place
        value = atom()
        while peek() == "operator" and (symbol_here() in "*/") >= level:
            symbol = symbol_here()
            place += 1
            other = expression(1) if symbol in "+-" else atom()
            if symbol == "+":
                value += other
            elif symbol == "-":
                value -= other
            elif symbol == "*":
                value *= other
            else:
                value = Fraction(value, other)
        return value

    try:
        value = expression(0)
    except (ValueError, ZeroDivisionError, RecursionError):
        return None
    return value if place == len(tokens) else None


def value_of(text: str) -> Value:
    """The value of a number as it is written (`1,200`, `$4`, `20%`).

    Raises ValueError where it is longer than any step of a chain would have it.
    """
    digits = text.strip("$€£% ").replace(",", "")
    if len(digits) > 60:
        raise ValueError
    value = int(digits) if digits.isdecimal() else Fraction(digits)
    return Fraction(value, 100) if text.endswith("%") else value


def size(value: Value) -> Value:
    """`value` without its sign."""
    return -value if value < 0 else value

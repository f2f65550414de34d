"""The checkable statements of a chain, `a op b = c` and `a <= b`, re-computed in exact fractions.

Whatever cannot be read with certainty is left unchecked: a right step that is called wrong costs a
good chain, and silently.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from limbeck.curate.formula import (
    Token,
    Value,
    evaluate,
    operators,
    passages,
    sides_of_passage,
    size,
    value_of,
    without_markup,
)

_RELATIONS: dict[str, Callable[[Value, Value], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "≤": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "≥": operator.ge,
    "!=": operator.ne,
    "≠": operator.ne,
}
_ASKED = re.compile(
    r"\b(?:if|whether|unless|when|until|not|is|check|would|should)\b[^.!?\n]*$", re.I
)
_DENIED = re.compile(r"\s*(?:\?|\W{0,2}(?:is\s+|does\s+)?(?:not|no|false|untrue|fails)\b)", re.I)
"""A comparison that is asked about or denied is not claimed: "is 33 <= 30? No"."""

_MEASURES = frozenset(
    re.findall(
        r"\w+",
        "inch inche foot feet yard mile cm mm km meter metre centimeter kilometer hour minute "
        "second day week month year dollar cent penny pennie gram kg kilogram pound ounce ton "
        "liter litre ml gallon quart pint cup tablespoon teaspoon",
    )
)
_PLAIN = re.compile(
    r"\s*(([0-9]{1,15}) ([-+*/]) ([0-9]{1,15}) = ([0-9]{1,15}))[.,:;?]?\s*", re.ASCII
)
"""A passage that is nothing but a sum of two whole numbers, as most steps are."""
_RECKON: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_ROUNDED = Fraction(5, 1000)
"""Relative error of a product with a rounded factor ("360 * 1.33 = 480")."""
_NOISE = Fraction(1, 10**9)
"""Relative error of numbers that were copied from a computer's floating point."""
_NEAR = 200
"""Characters around a comparison that are searched for whether it is claimed at all."""


@dataclass(frozen=True)
class Equation:
    """One `left = right` or `left <= right` of a chain; `right` is whether it holds.

    `value` is what the left side comes to, `claimed` what stands on the right.
    """

    text: str
    relation: str
    value: Value
    claimed: Value
    right: bool


def equations(text: str) -> list[Equation]:
    """Every equation of `text` that can be checked, in order.

    >>> [e.right for e in equations("12 + 7 = 19. Then 19 - 4 = 14.")]
    [True, False]
    """
    return list(_equations(text))


def wrong_equation(text: str) -> tuple[int, Equation] | None:
    """The first equation of `text` that does not hold, and its place among all of them, from 1."""
    for place, equation in enumerate(_equations(text), start=1):
        if not equation.right:
            return place, equation
    return None


def show(value: Value) -> str:
    """A fraction as people write it: `19`, `2.5`, `3.3333`."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.4f}".rstrip("0").rstrip(".")


def _equations(text: str) -> Iterator[Equation]:
    text = without_markup(text)
    for start, end in passages(text):
        plain = _PLAIN.fullmatch(text, start, end)
        found = plain and _plainly_right(plain)
        if found:
            yield found
            continue
        for formula in sides_of_passage(text, start, end):
            equation = _compare(text, *formula)
            if equation is not None:
                yield equation


def _plainly_right(plain: re.Match[str]) -> Equation | None:
    """A sum that holds; what does not hold is looked at more closely."""
    whole, first, sign, second, result = plain.groups()
    value, claimed = int(first), int(result)
    if sign == "/":
        right = int(second) != 0 and claimed * int(second) == value
        value = claimed
    else:
        value = _RECKON[sign](value, int(second))
        right = value == claimed
    return Equation(whole, "=", value, claimed, True) if right else None


def _compare(text: str, left: list[Token], relation: Token, right: list[Token]) -> Equation | None:
    left = _after_unit(left)
    compares = relation.kind == "compare"
    if compares:
        before, after = text[: left[0].start][-_NEAR:], text[right[-1].end :][:_NEAR]
        if _ASKED.search(before) or _DENIED.match(after):
            return None
    elif not any(token.kind == "operator" for token in left[1:]):
        return None
    if (
        _is_share(left)
        or _mixes_slashes(left)
        or not _same_units(left, compares)
        or not _same_units(right, compares)
    ):
        return None
    value, claimed = evaluate(left), evaluate(right)
    if value is None or claimed is None:
        return None
    if compares:
        holds = _RELATIONS[relation.text](value, claimed) or not _same_units(left + right, True)
    else:
        if _converts(left, right):
            return None
        loose = _ROUNDED if operators(left) & {"*", "/"} and _has_decimals(left) else _NOISE
        holds = value == claimed or size(value - claimed) <= size(value) * loose
        holds = holds or _close(value, claimed, right) or _runs_on(value, right)
    whole = text[left[0].start : right[-1].end].strip()
    return Equation(whole, relation.text if compares else "=", value, claimed, holds)


def _after_unit(side: list[Token]) -> list[Token]:
    """The formula after a number that only precedes it: "after 3 days 12 + 7" is "12 + 7"."""
    for place in range(len(side) - 1, 0, -1):
        if side[place].kind in ("number", "open") and side[place - 1].kind == "word":
            return side[place:]
    return side


def _is_share(side: list[Token]) -> bool:
    """`1/3 boys` is a share of the boys, not a division."""
    kinds = [token.kind for token in side]
    return kinds[:3] == ["number", "operator", "number"] and kinds[3:] in (
        ["word"],
        ["word", "word"],
    )


def _converts(left: list[Token], right: list[Token]) -> bool:
    """`6 inches + 6 inches = 1 foot` changes the measure on the way."""
    before, after = (_units(side) & _MEASURES for side in (left, right))
    return bool(before and after and before != after)


def _units(side: list[Token]) -> set[str]:
    """The nouns after its numbers, without their plural: of "3 red apples", "apple"."""
    followed = zip(side, [*side[1:], None], strict=True)
    return {
        token.text.rstrip("s")
        for token, after in followed
        if token.kind == "word" and (after is None or after.kind != "word")
    }


def _mixes_slashes(side: list[Token]) -> bool:
    """`7 / 1/2` divides by a half for people, though not for the rules of precedence."""
    tight = [
        before.end == token.start and token.end == after.start
        for before, token, after in zip(side, side[1:], side[2:], strict=False)
        if token.text == "/"
    ]
    return len(set(tight)) > 1


def _has_decimals(side: list[Token]) -> bool:
    """Whether a number has two decimals or more, and so may have been rounded before."""
    return any(len(token.text.partition(".")[2].rstrip("% ")) > 1 for token in side)


def _same_units(side: list[Token], compares: bool) -> bool:
    """Sums of different units, of a number and a percentage, or with a variable are not checked."""
    units = _units(side)
    if any(len(unit) < 2 for unit in units):
        return False
    adds = compares or bool(operators(side) & {"+", "-"})
    percents = {token.text.endswith("%") for token in side if token.kind == "number"}
    return not adds or (len(units) <= 1 and len(percents) == 1)


def _close(value: Value, claimed: Value, right: list[Token]) -> bool:
    """Equal, or equal as far as the claimed decimals go (rounded or cut)."""
    if value == claimed:
        return True
    alone = [token for token in right if token.kind == "number"]
    if len(alone) != 1:
        return False
    text = alone[0].text
    # "5 / 20 * 100 = 25%" and "5 / 20 = 25%" are both usual.
    claimed_values = [claimed, claimed * 100] if text.endswith("%") else [claimed]
    decimals = len(text.rstrip("% ").partition(".")[2]) + (2 if text.endswith("%") else 0)
    unit = Fraction(1, 10**decimals)
    if (value / unit).denominator == 1:
        return value in claimed_values
    return any(size(value - one) < unit for one in claimed_values)


def _runs_on(value: Value, right: list[Token]) -> bool:
    """`5 + 3 = 8 + 2 = 10` is careless, but each of its steps is right."""
    numbers = [token for token in right if token.kind == "number"]
    return len(numbers) > 1 and right[0].kind == "number" and value_of(right[0].text) == value

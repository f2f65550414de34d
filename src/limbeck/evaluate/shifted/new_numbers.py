"""Other numbers of the same size, with the answer worked out again from the steps of the chain.

The chain's equations are read as a program: an operand is a number of the input (if it stands there
once), an earlier result, or a constant of the task. If running the program on the old numbers gives the
old truth, running it on new ones gives the new truth. Where the chain does not carry the answer, as for a
label, only the task's own solver can say what is right of the new numbers.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction

from limbeck.curate.equations import show
from limbeck.curate.formula import Token, Value, operators, sides, value_of, without_markup
from limbeck.curate.formula import evaluate as value
from limbeck.evaluate.shifted.change import Changed
from limbeck.types import Example
from limbeck.verify.number import parse

MEANING = "The numbers are others of the same size, and the answer is worked out again."

_NUMBER = re.compile(r"(?<![\w.,])(\d{1,9}(?:\.\d{1,4})?)(?![\w]|[.,]\d)")
_ATTEMPTS = 60
_CONSTANTS = frozenset(map(Fraction, (2, 3, 4, 7, 10, 12, 24, 30, 60, 100, 365, 1000)))


def change(example: Example, rng: random.Random) -> Changed | None:
    old = _NUMBER.findall(example.input)
    if not old:
        return None
    program = _program(example)
    if program is None or len(set(old)) != len(old):
        new = {text: _like(text, rng) for text in dict.fromkeys(old)}
        asked = example.model_copy(update={"input": _put(example.input, new)})
        return Changed(example=asked, truth="open")
    whole = parse(example.truth)
    for _ in range(_ATTEMPTS):
        new = {text: _like(text, rng) for text in old}
        if len(set(new.values())) != len(new):
            continue
        truth = _run(program, {Fraction(k): Fraction(v) for k, v in new.items()})
        if truth is None or truth < 0 or (whole and whole.denominator == 1 != truth.denominator):
            continue
        answer = show(truth)
        update = {"input": _put(example.input, new), "truth": answer, "answer": answer}
        return Changed(example=example.model_copy(update=update), truth="derived")
    return None


def _put(text: str, new: dict[str, str]) -> str:
    return _NUMBER.sub(lambda found: new[found[1]], text)


def _like(text: str, rng: random.Random) -> str:
    """Another number with as many digits, before and after the point."""
    whole, _, part = text.partition(".")
    low = 10 ** (len(whole) - 1) if len(whole) > 1 else 2
    drawn = str(rng.randint(low, 10 ** len(whole) - 1))
    if not part:
        return drawn
    return f"{drawn}.{rng.randint(1, 10 ** len(part) - 1):0{len(part)}d}"


Program = list[tuple[list[Token], Value]]
"""Left sides in their order, each with what it came to."""


def _program(example: Example) -> Program | None:
    """The equations of the chain, if they lead from the input's numbers to the truth."""
    truth = parse(example.truth)
    if truth is None or not example.rationale:
        return None
    inputs: set[Value] = {Fraction(text) for text in _NUMBER.findall(example.input)}
    known, used = set(inputs), False
    program: Program = []
    for left, relation, right in sides(without_markup(example.rationale)):
        claimed, came = value(right), value(left)
        if relation.kind != "equals" or not operators(left) or came is None or came != claimed:
            continue
        operands = {value_of(token.text) for token in left if token.kind == "number"}
        if not operands <= known | _CONSTANTS:
            return None
        used = used or bool(operands & inputs)
        program.append((left, came))
        known.add(came)
    if not program or not used or program[-1][1] != truth:
        return None
    # An operand that is at once a number of the input and an earlier result could be either.
    return None if inputs & {came for _, came in program[:-1]} else program


def _run(program: Program, numbers: dict[Value, Value]) -> Value | None:
    known: dict[Value, Value] = dict(numbers)
    came: Value | None = None
    for left, before in program:
        tokens = [
            Token(token.kind, _spelled(known[value_of(token.text)]), token.start, token.end)
            if token.kind == "number" and value_of(token.text) in known
            else token
            for token in left
        ]
        came = value(tokens)
        if came is None or came < 0 or (before.denominator == 1 != came.denominator):
            return None
        known[before] = came
    return came


def _spelled(number: Value) -> str:
    if number.denominator == 1:
        return str(number.numerator)
    return f"{float(number):.6f}".rstrip("0")

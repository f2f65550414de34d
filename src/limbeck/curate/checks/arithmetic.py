"""A step of the chain computes wrongly.

Catches "12 + 7 = 18" and "30 + 15 - 10 = 40", chains of equals, percentages, fractions, thousands
separators and units, and says which step it is. Lets pass rounding ("10 / 3 = 3.33"), careless but
right chains ("5 + 3 = 8 + 2 = 10"), and all that cannot be read with certainty: variables, powers,
clock times, mixed units, "20 % of". A wrong number copied from an earlier step is not seen.
"""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.curate.equations import equations, show, wrong_equation
from limbeck.types import Task

_LONGEST = 200_000
"""Characters of a chain that are re-computed; a chain of megabytes is not worth minutes."""

_FEW = 200
"""So many passages are read one by one before the patterns that tell most of them are ready."""

_OPERATOR = r"(?:[-+*/×·÷−–]|\bx\b|\d ?x ?[\d($]|\b(?:plus|minus|times|divided by)\b)"
_EQUALS = r"(?:[=≈]|\b(?:is|equals|gives|makes)\b)"
_STATED = (
    rf"\d[^\n]*{_OPERATOR}[^\n]*{_EQUALS}[^\n]{{0,12}}\d|\d[^\n]*(?:[<>≤≥≠]|!=)[^\n]{{0,12}}\d"
)
"""What a passage has that says what a formula comes to, or compares two."""
_AMOUNT = r"[$€£]?([0-9]{1,12}(?:,[0-9]{3})*(?:\.[0-9]{1,6})?)"
_UNIT = r"(?: [A-Za-z]+){0,2}"
_BEFORE = r"(?:^|[^-+*/×÷−–^.,=<>≤≥#0-9%({])"
_SIGN = r" ?([-+*/×÷−x]) ?"
_SIMPLE = r"^ ?([0-9]{1,9}) ([-+*/]) ([0-9]{1,9}) = ([0-9]{1,9})$"
_PLAIN = rf"{_BEFORE}{_AMOUNT}{_UNIT}{_SIGN}{_AMOUNT}{_UNIT} ?= ?{_AMOUNT}(?:[.,$]?$|[ )\]}}*\".])"
_COMPARED = rf"{_BEFORE}([0-9]{{1,12}}) ?(<=|>=|<|>) ?([0-9]{{1,12}})[.,]?$"
"""A sum of two numbers, or two numbers compared, as most steps are written. Where units or words make
such a formula unreadable, it is not checked, so that one that holds is right in any case."""
_MORE = (
    r"[-+*/×·÷−–<>≤≥≠=≈^%x]\s*[-$€£(]*\s*[0-9#]|[0-9#)]\s*(?:\w+\s+){0,2}[-+*/×·÷−–<>≤≥≠=≈^%]"
    r"|\b(?:plus|minus|times|divided)\b"
)
"""What may be left of a formula where a plain one was taken out."""


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces with an equation whose two sides differ."""

    def find(rationale: str) -> str | None:
        wrong = wrong_equation(rationale[:_LONGEST])
        if wrong is None:
            return None
        place, equation = wrong
        return (
            f"equation {place} says {equation.text!r}, but the left side is {show(equation.value)}"
        )

    doubted = pl.Series("doubted", _doubted(frame["rationale"]))
    return by_row(frame.select("rationale", doubted), ["rationale"], find, pl.col("doubted"))


def _doubted(chains: pl.Series) -> list[bool]:
    """Which chains have a passage with an equation that does not hold when it is read alone.

    Whether it is really wrong depends on what stands around it ("if 5 < 3"), and is asked then.
    """
    passages = (
        chains.alias("text")
        .to_frame()
        .with_row_index("row")
        .filter(pl.col("text").str.contains(r"\d"))
        .with_columns(
            pl.col("text")
            .str.slice(0, _LONGEST)
            .str.replace_all(r"<<[^<>\n]*>>", "")
            .str.replace_all(r"[.,:;?]\s", "\n")
            .str.split("\n")
        )
        .explode("text")
        .filter(pl.col("text").str.contains(_STATED))
    )
    texts = passages.select(pl.col("text").unique())
    rest = texts.filter(~_simply_right())
    if rest.height > _FEW:
        rest = rest.filter(~_plainly_right())
    wrong = [text for text in rest["text"] if not _holds(text)]
    doubted = [False] * chains.len()
    said = pl.Series(wrong, dtype=pl.String).implode()
    for row in passages.filter(pl.col("text").is_in(said))["row"]:
        doubted[row] = True
    return doubted


def _simply_right() -> pl.Expr:
    """Whether a passage is one sum of two whole numbers that holds, and nothing else."""
    parts = pl.col("text").str.extract_groups(_SIMPLE)
    first, second, result = (parts.struct.field(name).cast(pl.Int64) for name in "134")
    sign = parts.struct.field("2")
    holds = (
        pl.when(sign == "+")
        .then(first + second == result)
        .when(sign == "-")
        .then(first - second == result)
        .when(sign == "*")
        .then(first * second == result)
        .otherwise((second != 0) & (result * second == first))
    )
    return holds.fill_null(False)


def _plainly_right() -> pl.Expr:
    """Whether a passage has one formula, of two numbers, that holds."""
    text = pl.col("text")
    sums, compared = text.str.extract_groups(_PLAIN), text.str.extract_groups(_COMPARED)

    def number(groups: pl.Expr, name: str) -> pl.Expr:
        return groups.struct.field(name).str.replace_all(",", "").cast(pl.Float64)

    first, second, result = (number(sums, name) for name in "134")
    sign = sums.struct.field("2")
    value = (
        pl.when(sign == "+")
        .then(first + second)
        .when(sign.is_in(["-", "−"]))
        .then(first - second)
        .when(sign.is_in(["*", "×", "x"]))
        .then(first * second)
        .otherwise(first / second)
    )
    holds = (value - result).abs() <= 1e-10 * value.abs()
    less, more, relation = number(compared, "1"), number(compared, "3"), compared.struct.field("2")
    stands = (
        pl.when(relation == "<=")
        .then(less <= more)
        .when(relation == ">=")
        .then(less >= more)
        .when(relation == "<")
        .then(less < more)
        .otherwise(less > more)
    )
    without = text.str.replace(_PLAIN, " # ").str.replace(_COMPARED, " # ")
    alone = ~without.str.contains(_MORE)
    return (alone & (holds | stands)).fill_null(False)


@lru_cache(maxsize=20_000)
def _holds(passage: str) -> bool:
    return all(equation.right for equation in equations(passage))

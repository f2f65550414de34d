"""The chain arrives at another answer than the reply gives.

Catches "... so exchange." before "Answer: deny", and "19 - 4 = 15" before "Answer: 20". Lets pass a
choice that is named only to be ruled out ("so it is not deny"), a last sentence that names several
choices with the answer among them, and a chain that draws no conclusion in so many words.
Numbers are not compared where the answer is an equation: the answer does the last step itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import takewhile

import polars as pl

from limbeck.curate.chain import excerpt, numbers, sentences, words
from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.curate.equations import equations, show
from limbeck.curate.formula import Value
from limbeck.types import Task

_CUE = re.compile(
    r"\b(?:so|therefore|thus|hence|answer|conclude|conclusion|must be|means|only|best|final"
    r"|in total|altogether)\b|=>|→",
    re.IGNORECASE,
)
_RULED_OUT_BEFORE = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|isn['’]t|than|instead of|except|without|unlike|excludes?|"
    r"rules? out|cannot|can['’]t|if|unless|whether)\b)(?:\W+\w+){0,3}\W*$",
    re.IGNORECASE,
)
_RULED_OUT_AFTER = re.compile(
    r"^(?:\W+\w+){0,2}\W+(?:not|no|isn['’]t|never|cannot|can['’]t|doesn['’]t|won['’]t|wouldn['’]t)\b",
    re.IGNORECASE,
)


_LITTLE = frozenset({"in", "at", "on", "to", "of", "the", "a", "an", "and", "or"})
_UNFINISHED = re.compile(r"\d\s*[-+*/×÷]\s*\d")
"""A formula without its value: the chain leaves the last step to the answer."""
_EQUALS = re.compile(r"\d\s*(?:\w+\s*)?=\s*[-$]?\d")
_GOES_ON = re.compile(r"\b(?:divid|multipl|add|subtract|find|calculat|until|need|more|any)", re.I)
"""Words of a sentence that says what is to be done, or what is not, rather than what came out."""
_LONGEST = 100_000
"""Characters at the end of a chain among which its conclusion is looked for."""
_END = 200
"""Characters at the end of a chain that are enough to see at a glance that it says the answer."""
_NEAR = 100
"""Characters around a choice that may rule it out."""


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain concludes on another choice or number than the answer."""

    def find(rationale: str | None, answer: str | None, choices: list[str]) -> str | None:
        return against(task, rationale, answer, choices)

    return by_row(frame, ["rationale", "answer", "choices"], find, _suspicious(task))


def against(
    task: Task, rationale: str | None, answer: str | None, choices: Sequence[str]
) -> str | None:
    """Why a chain concludes on another answer, or None where it does not."""
    if not rationale or answer is None:
        return None
    rationale = rationale[-_LONGEST:]
    if task.answer.kind == "number":
        if task.reply.equation:
            return None
        return _other_number(rationale, answer, task)
    if task.answer.kind == "choice" and choices:
        return _other_choice(rationale, answer, tuple(choices))
    return None


def _suspicious(task: Task) -> pl.Expr:
    """Chains whose end does not say the answer in so many words."""
    chain, answer = pl.col("rationale").str.strip_chars_end(), pl.col("answer")
    ends_on = chain.str.slice(-_END)
    if task.answer.kind == "number":
        last = ends_on.str.extract(r"(-?[0-9][0-9,]*(?:\.[0-9]+)?)[^0-9]*$").str.replace_all(
            ",", ""
        )
        return answer.is_not_null() & last.ne_missing(answer)
    if task.answer.kind == "choice":
        line = ends_on.str.extract(r"([^.!?\n]*)[.!?\s]*$")
        said = line.str.to_lowercase().str.replace_all(r"[\s_-]+", " ")
        wanted = answer.str.to_lowercase().str.replace_all(r"[\s_-]+", " ")
        plain = ~pl.lit(_overlap(task.answer.choices)) & said.str.contains(wanted, literal=True)
        return answer.is_not_null() & ~plain.fill_null(False)
    return pl.lit(False)


def _overlap(choices: tuple[str, ...]) -> bool:
    """Whether one choice stands within another, or is not known before the call."""
    folded = [_fold(choice) for choice in choices]
    return not folded or any(a in b for a in folded for b in folded if a != b)


def _other_choice(chain: str, answer: str, choices: tuple[str, ...]) -> str | None:
    lines = sentences(chain)
    concluding = [line for line in lines if _CUE.search(line)]
    last = lines[-1:] if lines[-1:] != concluding[-1:] else []
    # A conclusion that much more text follows was drawn about something else.
    concluding = [line for line in concluding[-1:] if line in lines[-2:]]
    for line in [*last, *concluding]:
        named = _named(line, choices)
        standing = {choice for choice, ruled_out in named if not ruled_out}
        if answer in {choice for choice, _ in named} or _mentions(line, answer, choices):
            return None
        if len(standing) == 1 and (line in concluding or _ends_on(line, *standing)):
            return f"the chain concludes {excerpt(line)!r}, but the answer is {answer!r}"
    return None


def _named(line: str, choices: tuple[str, ...]) -> list[tuple[str, bool]]:
    """The choices that stand in `line`, and whether each is ruled out where it stands."""
    pattern, spelled = _pattern(choices)
    found = []
    for match in pattern.finditer(line):
        choice = spelled[_fold(match.group())]
        before, after = line[: match.start()][-_NEAR:], line[match.end() :][:_NEAR]
        ruled_out = bool(_RULED_OUT_BEFORE.search(before) or _RULED_OUT_AFTER.search(after))
        found.append((choice, ruled_out))
    return found


def _mentions(line: str, answer: str, choices: tuple[str, ...]) -> bool:
    """Whether all words of `answer` stand in `line` in any inflection ("war museums have")."""
    if len(answer.split()) == 1:
        # "accepts" may be an inflection of "accept", but not where it is a choice itself.
        line = _pattern(choices)[0].sub(" ", line)
    said = words(line.replace("_", " "))
    wanted = [word for word in words(answer.replace("_", " ")) if word not in _LITTLE]
    if not wanted:
        return False
    if "".join(wanted) in "".join(said):
        return True
    return all(any(_same_word(word, other) for other in said) for word in wanted)


def _same_word(word: str, other: str) -> bool:
    """Inflections share most of the shorter word: lose and losing, theater and theatre."""
    shared = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, other, strict=False))
    )
    return shared >= 3 and shared >= 0.6 * min(len(word), len(other))


def _ends_on(line: str, choice: str) -> bool:
    return _fold(line.rstrip(" .!\"')")).endswith(_fold(choice))


def _fold(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.casefold()).strip()


@lru_cache(maxsize=4096)
def _pattern(choices: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """Longest first, so that "train" is not found in "train station"."""
    spelled = {_fold(choice): choice for choice in choices}
    parts = (
        r"[\s_-]+".join(map(re.escape, folded.split()))
        for folded in sorted(spelled, key=lambda text: (-len(text), text))
        if folded
    )
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts) or '(?!)'})(?!\w)", re.IGNORECASE), spelled


def _other_number(chain: str, answer: str, task: Task) -> str | None:
    try:
        given = Fraction(answer)
    except (ValueError, ZeroDivisionError):
        return None
    lines = sentences(chain)
    last = lines[-1] if lines else ""
    # Of an equation only the result is a conclusion; "44 + 20 = 64" does not arrive at 44.
    here = [step for step in equations(last) if step.relation == "="]
    said = last
    for step in here:
        said = said.replace(step.text, " ")
    results: list[Value] = [Fraction(number) for number in numbers(said)]
    results += [value for step in here for value in (step.claimed, step.value)]
    if _UNFINISHED.search(said) or any(_says(result, given, task) for result in results):
        return None
    concludes = bool(_CUE.search(last))
    # What is only a step is left to the answer to go on from, unless all of the chain is steps.
    if here and (concludes or all(_EQUALS.search(line) for line in lines)):
        return (
            f"the chain ends on {here[-1].text!r}, that is {show(here[-1].claimed)}, "
            f"but the answer is {answer}"
        )
    if not here and concludes and len(results) == 1 and not _GOES_ON.search(last):
        return f"the chain concludes {excerpt(last)!r}, but the answer is {answer}"
    return None


def _says(found: Value, given: Fraction, task: Task) -> bool:
    """Equal within the task's tolerance, up to rounding, sign of a loss, or per cent."""
    tolerance = Fraction(str(task.answer.tolerance))
    if abs(found - given) <= tolerance or found == -given:
        return True
    if found.denominator != 1 and given.denominator == 1 and abs(found - given) < 1:
        return True
    return found * 100 == given or given * 100 == found

"""The reply ends before it was finished.

Catches a token limit hit before the answer was complete, a chain that ends in the middle of a
sentence ("so the total is") and a bracket that never closes. Lets pass a limit that was hit only
after the answer (the run-on text is thrown away anyway), a list "1) ... 2) ..." and a smiley.
"""

from __future__ import annotations

import re

import polars as pl

from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.types import Task

LIMITS = frozenset({"max_tokens", "length", "max_output_tokens", "model_context_window_exceeded"})
"""Stop reasons by which Anthropic's and OpenAI's interfaces say that a limit was hit."""

_TAIL = 40
"""Characters at the end of a chain that say whether it was finished."""
_DANGLES = (
    r"(?:[,;(\[{]|\s[-+*/×÷<>]|\b(?:of|to|and|or|but|with|for|from|because|that|which|than|by|as"
    r"|at|into|their|his|her|its|if|when))$"
)
_DANGLING = re.compile(_DANGLES, re.IGNORECASE)
"""An end after which something must have come, whether or not the answer follows."""
_LEADING_ON = re.compile(
    r"(?:[:=]|\b(?:a|an|the|is|are|was|were|be|has|have|so|therefore|thus|then|not))$",
    re.IGNORECASE,
)
"""An end after which the answer may come ("so the total is"), but not nothing."""
_FINISHED = re.compile(r"[.!?…)\]}\"'”’»\d*`$%]$")
_BRACKETS = re.compile(r"(?<![:;=])[()\[\]{}]")
_ENDED = re.compile(r"[a-z\d][.!?]\s+\S")
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}


class Settings(CheckSettings):
    brackets: bool = True
    """Whether an unbalanced bracket or brace is taken as a cut."""


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces that stopped at a limit, in mid-sentence, or inside a bracket."""
    columns = ["rationale", "answer_raw", "reply", "stop_reason", "status", "ran_on"]

    def find(
        rationale: str | None,
        answer: str | None,
        reply: str | None,
        stop: str | None,
        status: str,
        ran_on: bool,
    ) -> str | None:
        answered = bool(answer and answer.strip())
        limited = status == "cut_off" or stop in LIMITS
        if limited and not (answered and ran_on):
            return f"the reply stopped at a limit ({stop or status}): {_end(reply or rationale)}"
        chain = (rationale or "").rstrip()
        if not chain:
            return None
        if not answered and _stops_mid_sentence(chain):
            return f"the chain ends in mid-sentence: {_end(chain)}"
        if answered and _DANGLING.search(chain[-_TAIL:]):
            return f"the chain ends in mid-sentence before the answer: {_end(chain)}"
        if settings.brackets and (open_ := _unclosed(chain)):
            return f"the chain opens {open_!r} and never closes it: {_end(chain)}"
        return None

    return by_row(frame, columns, find, _suspicious(settings))


def _suspicious(settings: Settings) -> pl.Expr:
    chain = pl.col("rationale").str.strip_chars_end()
    tail = chain.str.slice(-_TAIL)
    odd = (
        (pl.col("status") == "cut_off")
        | pl.col("stop_reason").is_in(LIMITS)
        | (pl.col("answer_raw").fill_null("").str.strip_chars() == "")
        | tail.str.contains(f"(?i){_DANGLES}")
    )
    if settings.brackets:
        paired = chain.str.replace_all(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}", "")
        odd = odd | paired.str.contains(r"[(\[{]") | chain.str.contains(r"[:;=][()\[\]{}]")
    return odd


def _stops_mid_sentence(chain: str) -> bool:
    chain = chain[-_TAIL:]
    unfinished = _DANGLING.search(chain) or _LEADING_ON.search(chain)
    return bool(unfinished) or not _FINISHED.search(chain)


def _unclosed(chain: str) -> str | None:
    """The bracket that the chain ends inside of; the ")" of a list or a smiley closes none, and one
    that whole sentences follow was only forgotten."""
    waiting: list[tuple[str, int]] = []
    for found in _BRACKETS.finditer(chain):
        mark = found[0]
        if mark in _CLOSED_BY:
            waiting.append((mark, found.end()))
        elif waiting and _CLOSED_BY[waiting[-1][0]] == mark:
            waiting.pop()
    if not waiting:
        return None
    mark, place = waiting[-1]
    return None if _ENDED.search(chain, place) else mark


def _end(text: str | None) -> str:
    line = " ".join((text or "").split())
    return repr(line if len(line) <= 60 else "…" + line[-59:].lstrip())

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

_DANGLING = re.compile(
    r"(?:[,;:(\[{+*/=×÷<>-]|\b(?:a|an|the|of|to|and|or|but|with|for|from|is|are|was|were|be|has|have|"
    r"because|that|which|than|by|as|at|into|their|his|her|its|if|when|so|therefore|thus|then|not))$",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"\b(?:so|thus|hence|therefore|then|the answer is|answer)[,:]?\s*$", re.IGNORECASE
)
_FINISHED = re.compile(r"[.!?…)\]}\"'”’»\d*`$%]$")
_LIST_NUMBER = re.compile(r"(?m)(?:^|(?<=\s))\(?\w{1,3}\)")


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
        if answered and _DANGLING.search(chain) and not _LEAD_IN.search(chain):
            return f"the chain ends in mid-sentence before the answer: {_end(chain)}"
        if settings.brackets and (open_ := _unclosed(chain)):
            return f"the chain opens {open_!r} and never closes it: {_end(chain)}"
        return None

    return by_row(frame, columns, find)


def _stops_mid_sentence(chain: str) -> bool:
    return bool(_DANGLING.search(chain)) or not _FINISHED.search(chain)


def _unclosed(chain: str) -> str | None:
    text = _LIST_NUMBER.sub("", chain)
    for opening, closing in ("()", "[]", "{}"):
        if text.count(opening) > text.count(closing):
            # A bracket of an emoticon or an interval is closed on the same line or not at all.
            last = text.rfind(opening)
            if closing not in text[last:]:
                return opening
    return None


def _end(text: str | None) -> str:
    line = " ".join((text or "").split())
    return repr(line if len(line) <= 60 else "…" + line[-59:].lstrip())

"""The teacher declined instead of answering.

Catches a refusal by status or stop reason, and replies that begin "I'm sorry, but I can't help with
that" or "As an AI language model". Lets pass "I cannot see a receipt, so no refund: deny" (it
answers) and a customer's "I'm sorry, but" that the chain quotes further on.
"""

from __future__ import annotations

import re

import polars as pl

from limbeck.curate.chain import excerpt
from limbeck.curate.checks.verdict import CheckSettings, by_row
from limbeck.types import Task

STOPS = frozenset({"refusal", "content_filter", "safety", "SAFETY"})
"""Stop reasons by which providers say that an answer was withheld."""

_PLAIN = re.compile(
    r"^\W*(?:(?:i['’]m|i am) (?:very |really |so )?sorry|sorry|i apologi[sz]e|my apologies"
    r"|unfortunately)?"
    r"\W*(?:but\W+)?(?:"
    r"i (?:can['’]?t|cannot|can not|won['’]t|will not|am unable to|am not able to|must decline)"
    r"|i['’]m (?:unable|not able) to"
    r"|as an? (?:ai|artificial intelligence|language model|assistant)\b)",
    re.IGNORECASE,
)
_STRONG = re.compile(
    r"^\W*(?:(?:i['’]m|i am) sorry\W+(?:but\W+)?)?"
    r"(?:as an ai (?:language )?model"
    r"|i (?:can['’]?t|cannot|won['’]t|am unable to|['’]m unable to)"
    r" (?:help|assist|comply|fulfil|provide|discuss|answer|process|do that)\b)",
    re.IGNORECASE,
)
_BEGINNINGS = r"^[\W\p{M}\x{200c}\x{200d}]*(?i:i|sorry|my|unfortunately|but|as)"
"""What all of them begin with: a quick test. What is a letter is not the same for both libraries."""


class Settings(CheckSettings):
    pass


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces that were refused, by the provider's word or by how the reply begins."""
    columns = ["reply", "rationale", "answer", "stop_reason", "status"]

    def find(
        reply: str | None,
        rationale: str | None,
        answer: str | None,
        stop: str | None,
        status: str,
    ) -> str | None:
        text = (reply or rationale or "").strip()
        if status == "refused" or stop in STOPS:
            return f"the teacher refused ({stop or status}): {excerpt(text)!r}"
        if (answer is None and _PLAIN.search(text)) or _STRONG.search(text):
            return f"the reply begins like a refusal: {excerpt(text)!r}"
        return None

    return by_row(frame, columns, find, _suspicious())


def _suspicious() -> pl.Expr:
    """Replies that were withheld, or begin with a word that a refusal may begin with."""
    text = pl.when(pl.col("reply").fill_null("") != "").then("reply").otherwise("rationale")
    return (
        (pl.col("status") == "refused")
        | pl.col("stop_reason").is_in(STOPS).fill_null(False)
        | text.str.contains(_BEGINNINGS).fill_null(False)
    )

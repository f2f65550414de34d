"""Free text, equal but for case, spaces, quotes and the punctuation around it; JSON by value."""

from __future__ import annotations

import json
import re
from typing import Any

from limbeck.types import AnswerForm, Verdict
from limbeck.verify.wording import fold

_FENCED = re.compile(r"^```[\w-]*\n(.*?)\n?```$", re.DOTALL)


def normalize(form: AnswerForm, text: str, choices: tuple[str, ...] = ()) -> str | None:
    """The text without the spaces, code fence or pair of quotes around it; None if empty."""
    text = text.strip()
    fenced = _FENCED.match(text)
    text = fenced[1].strip() if fenced else text
    if len(text) > 1 and text[0] + text[-1] in ('""', "“”") and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    return text or None


def judge(form: AnswerForm, answer: str, truth: str, choices: tuple[str, ...] = ()) -> Verdict:
    """1.0 where both say the same; two JSON objects or arrays are compared by value."""
    got, wanted = normalize(form, answer), normalize(form, truth)
    if got is None:
        return Verdict(score=0.0, reason="the answer is empty")
    if wanted is None:
        return Verdict(score=0.0, reason="the truth is empty")
    structured = _structure(wanted)
    same = _structure(got) == structured if structured is not None else fold(got) == fold(wanted)
    if same:
        return Verdict(score=1.0, reason=f"{got!r} is right")
    return Verdict(score=0.0, reason=f"{got!r}; right is {wanted!r}")


def _structure(text: str) -> Any:
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None

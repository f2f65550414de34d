"""One of a list of labels, fixed for the task or given with each call."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher

from limbeck.types import AnswerForm, Verdict
from limbeck.verify.wording import fold, stem, trim

NEAR = 0.8
"""Share of matching characters at which words still spell the label that their letter names."""

LETTERED = re.compile(r"^\s*(?:(?:option|choice)\s+)?(?:\(([A-Za-z])\)|([A-Za-z])[).:])\s*", re.I)
"""`(b)`, `b)`, `b.`, `option (b)` at the start of a text."""

_LETTER_ALONE = re.compile(r"^(?:(?:option|choice)\s+)?\(?([A-Za-z])\)?$", re.I)
_EXPLAINED = re.compile(r"^\s*(?:[,;:.(\n—–]|-\s|because\b|since\b)", re.I)


def normalize(form: AnswerForm, text: str, choices: tuple[str, ...] = ()) -> str | None:
    """The label that `text` means, spelled as in `choices`; None where it is none or may be two.

    Without any choices there is nothing to hold it against, and the trimmed text is returned.
    """
    choices = choices or form.choices
    if not choices:
        return trim(text) or None
    by_words = _by_words(text, choices)
    if by_words is not None:
        return by_words
    alone = _LETTER_ALONE.match(trim(text))
    if alone:
        return _by_letter(alone[1], choices)
    lettered = LETTERED.match(text)
    if lettered:
        named = _by_letter(lettered[1] or lettered[2], choices)
        words = text[lettered.end() :]
        if not trim(words):
            return named
        spoken = _by_words(words, choices) or _explained(words, choices)
        if named is not None and spoken is None and _misspelled(words, named):
            return named
        # "(b) dog" where (b) is the cat says two things.
        return named if spoken == named else None
    return _explained(text, choices)


def judge(form: AnswerForm, answer: str, truth: str, choices: tuple[str, ...] = ()) -> Verdict:
    """1.0 where both mean the same label."""
    choices = choices or form.choices
    wanted = normalize(form, truth, choices)
    if wanted is None:
        wanted = truth
    got = normalize(form, answer, choices)
    if got is None:
        return Verdict(score=0.0, reason=f"{answer!r} is not one of {list(choices)!r}")
    if fold(got) == fold(wanted):
        return Verdict(score=1.0, reason=f"{got!r} is right")
    return Verdict(score=0.0, reason=f"{got!r}; right is {wanted!r}")


def starting_choice(text: str, choices: tuple[str, ...]) -> int:
    """How many characters the longest choice takes that `text` starts with; 0 for none."""
    longest = 0
    for choice in choices:
        # No pattern: choices differ from call to call, and compiling five a call takes longest.
        end = len(choice)
        if end > longest and text[:end].lower() == choice.lower():
            within = text[end - 1 : end + 1].isalnum() and end < len(text)
            longest = longest if within else end
    return longest


def _by_words(text: str, choices: tuple[str, ...]) -> str | None:
    if text in choices:
        return text
    for same in (str.strip, trim, fold, stem):
        found = _only_one(text, choices, same)
        if found is not None:
            return found
    return None


def _only_one(text: str, choices: tuple[str, ...], same: Callable[[str], str]) -> str | None:
    wanted = same(text)
    found = {choice for choice in choices if wanted and same(choice) == wanted}
    return found.pop() if len(found) == 1 else None


def _by_letter(letter: str, choices: tuple[str, ...]) -> str | None:
    place = ord(letter.lower()) - ord("a")
    return choices[place] if place < len(choices) else None


def _misspelled(text: str, choice: str) -> bool:
    """Near enough to be believed where the letter says the same; never enough by itself."""
    return SequenceMatcher(None, fold(text), fold(choice), autojunk=False).ratio() >= NEAR


def _explained(text: str, choices: tuple[str, ...]) -> str | None:
    """A label with an explanation after it, in which no other label stands."""
    text = text.lstrip(" \t\r\n\"'`*_“‘")
    end = starting_choice(text, choices)
    after = text[end:].lstrip("\"'`*_”’")
    if not end or (after.strip() and not _EXPLAINED.match(after)):
        return None
    found = _only_one(text[:end], choices, fold)
    others = [choice for choice in choices if found is not None and fold(choice) != fold(found)]
    if any(re.search(rf"(?<!\w){re.escape(o)}(?!\w)", after, re.IGNORECASE) for o in others):
        return None
    return found

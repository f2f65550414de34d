"""What in a wording does not change the meaning: case, spaces, quotes, punctuation, articles."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_AROUND = " \t\r\n\"'`*_“”‘’«»"
_ARTICLE = re.compile(r"^(?:an?|the)\s+(?=\S)", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


def trim(text: str) -> str:
    """Without the spaces, quotes, emphasis and sentence punctuation around it.

    The full stop of an abbreviation (`U.S.`) stays.
    """
    before = None
    while text != before:
        before = text
        text = text.strip(_AROUND).rstrip(",;:!?")
        if text.endswith(".") and not re.search(r"(?:^|\.|\s)[A-Za-z]\.$", text):
            text = text[:-1]
        for opening, closing in ("()", "[]", "{}"):
            inner = text[1:-1]
            if text.startswith(opening) and text.endswith(closing) and opening not in inner:
                text = inner
    return text


def fold(text: str) -> str:
    """The same for two texts that differ in nothing that matters."""
    folded = _SPACES.sub(" ", trim(unicodedata.normalize("NFKC", text)).casefold())
    return _ARTICLE.sub("", folded.rstrip("."))


def stem(text: str) -> str:
    """A rough common form of inflected English words: `accidents happen` and `accident happens`."""
    words = re.findall(r"[^\W_]+", re.sub(r"['’]s?\b", "", fold(text)))
    return " ".join(_stem_word(word) for word in words)


@lru_cache(maxsize=10_000)
def _stem_word(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    # Of a short rest too little is left to tell words apart: "caring" is no "car".
    for ending, rest in (("ing", 4), ("ed", 4), ("es", 4), ("s", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= rest and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word.rstrip("ey") if len(word) > 4 else word

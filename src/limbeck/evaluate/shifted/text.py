"""An input divided into sentences that can be put together again, byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass

_END = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)\s+|\n+")
_ASKS = re.compile(
    r"^(?:how|what|which|who|whose|whom|where|when|why|is|are|was|were|do|does|did|can|could|will)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sentences:
    """`gaps[i]` stands after `parts[i]`; the last one is empty or the text's end."""

    parts: tuple[str, ...]
    gaps: tuple[str, ...]

    def join(self, parts: list[str], gap: str = " ") -> str:
        """`parts` with the gaps of their places; `gap` where there are more of them."""
        gaps = [*self.gaps[:-1], *[gap] * len(parts)]
        return "".join(p + g for p, g in zip(parts, gaps, strict=False)).strip()


def divide(text: str) -> Sentences:
    """The sentences and lines of a text. An abbreviation's dot may end one: changes drop few of them."""
    parts: list[str] = []
    gaps: list[str] = []
    at = 0
    for found in _END.finditer(text):
        if text[at : found.start()].strip():
            parts.append(text[at : found.start()])
            gaps.append(found[0])
        at = found.end()
    if text[at:].strip():
        parts.append(text[at:])
        gaps.append("")
    return Sentences(tuple(parts), tuple(gaps))


def question_of(sentences: Sentences) -> int | None:
    """The place of the sentence that asks: the last one with a question mark, None without one."""
    marked = [i for i, part in enumerate(sentences.parts) if part.rstrip(" \"')").endswith("?")]
    if marked:
        return marked[-1]
    last = len(sentences.parts) - 1
    asks = last >= 0 and _ASKS.match(sentences.parts[last])
    return last if asks else None

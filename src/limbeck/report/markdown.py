"""Text of other people inside Markdown: shown as it is, never read as markup."""

from __future__ import annotations

import re


def cell(text: str) -> str:
    """Text on one line that can stand in a paragraph, a list or a table."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]>#|~])", r"\\\1", line)


def fenced(text: str) -> str:
    """Text in a code block, with a fence longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"

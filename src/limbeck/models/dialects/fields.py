"""Reading JSON that somebody else wrote: every field may be absent or of another type."""

from __future__ import annotations

import math
from typing import Any

MOST = 2**53
"""Above this a count is no longer exact as a float, and somebody is lying."""
TEXT_BLOCKS = ("text", "input_text", "output_text")


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """`value` where it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """`value` where it is a string, else None. It can be written as UTF-8."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else _writable(value)


def _writable(value: str) -> str:
    """`value` with the halves of surrogate pairs put together, and a half alone replaced.

    JSON may hold half a pair as an escape, and a stream may cut between the halves.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def writable(value: Any) -> Any:
    """`value` so that it can be written as JSON in UTF-8: Python reads more than JSON has."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return [writable(one) for one in value]
    if isinstance(value, dict):
        return {text(key): writable(one) for key, one in value.items()}
    return value


def count(value: Any) -> int:
    """`value` where it is a count of things that may be true, else 0."""
    return value if type(value) is int and 0 < value <= MOST else 0


def joined_text(content: Any, separator: str = "\n") -> str:
    """The text of a message: a string, or the text blocks of a list of content blocks."""
    if isinstance(content, str):
        return text(content) or ""
    parts = (mapping(block).get("text") for block in sequence(content))
    return text(separator.join(part for part in parts if isinstance(part, str))) or ""


def has_media(content: Any) -> bool:
    """Whether a message holds blocks that are not text (images, documents, tool results)."""
    return isinstance(content, list) and any(
        mapping(block).get("type") not in TEXT_BLOCKS for block in content
    )


def around_question(
    turns: list[dict[str, Any]],
) -> tuple[tuple[dict[str, Any], ...], Any, tuple[dict[str, Any], ...]]:
    """The turns before the last user message, the content of that message, and the turns after it."""
    for at in range(len(turns) - 1, -1, -1):
        if turns[at].get("role") == "user":
            return tuple(turns[:at]), turns[at].get("content"), tuple(turns[at + 1 :])
    return tuple(turns), None, ()

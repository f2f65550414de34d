"""Reading JSON that somebody else wrote: every field may be absent or of another type."""

from __future__ import annotations

from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """`value` where it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """`value` where it is a string, else None."""
    return value if isinstance(value, str) else None


def count(value: Any) -> int:
    """`value` where it is a count of things, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def joined_text(content: Any, separator: str = "\n") -> str:
    """The text of a message: a string, or the text blocks of a list of content blocks."""
    if isinstance(content, str):
        return content
    parts = (text(mapping(block).get("text")) for block in sequence(content))
    return separator.join(part for part in parts if part is not None)


def has_media(content: Any) -> bool:
    """Whether a message holds blocks that are not text (images, documents, tool results)."""
    return any(mapping(block).get("type") != "text" for block in sequence(content))

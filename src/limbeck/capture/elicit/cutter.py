"""What takes a rationale out of a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

WHITE = " \t\r\n"

MOST_HELD = 1 << 20
"""Characters of a rationale that are held back; a longer one is none, and is shown as it came."""

MOST_UNDECIDED = 4096
"""Characters of white space or of a key that are held back until it is clear what they begin."""


class Cutter(Protocol):
    """Takes a rationale out of one text, piece by piece."""

    passing: bool
    """Nothing more will be taken out: what follows is shown as it comes."""

    @property
    def unclosed(self) -> bool: ...

    @property
    def rationale(self) -> str | None: ...

    @property
    def taken(self) -> int: ...

    def feed(self, piece: str) -> str: ...

    def close(self, *, cut_off: bool) -> str: ...


class Found(NamedTuple):
    """What was taken out of a reply: the rationale, and the characters taken and left."""

    rationale: str | None = None
    taken: int = 0
    shown: int = 0


def cut(cutter: Cutter, text: str, *, cut_off: bool) -> str:
    """`text` as the client sees it; `cutter` then has the rationale."""
    shown = cutter.feed(text)
    return shown + cutter.close(cut_off=cut_off)


def whole(parts: Iterable[str]) -> str | None:
    """The parts of a rationale as one text, or None where none has a word."""
    stripped = [part.strip() for part in parts]
    joined = "\n\n".join(part for part in stripped if part)
    # Halves of one character may have come in two pieces; what stays half cannot be stored.
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace") or None

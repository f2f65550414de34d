"""The steps of a chain: lines, or sentences where it is written on one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def steps_of(rationale: str) -> list[str]:
    """The steps in order; joined by `join_steps` they are the chain again but for white space."""
    lines = [line.strip() for line in rationale.splitlines() if line.strip()]
    if len(lines) > 1:
        return lines
    return [step for step in _SENTENCE.split(rationale.strip()) if step]


def join_steps(steps: Sequence[str], like: str) -> str:
    """The steps as one chain, a step a line where `like` has lines, else one after the other."""
    return ("\n" if "\n" in like.strip() else " ").join(steps)

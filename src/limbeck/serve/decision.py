"""The decision for one call: whether the student's answer goes out, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """Who answers one call, and why. `answer` is the student's, in the task's form; `policy` is the id
    of the one that decided, and `group` the caller's, where the policy promises something to each."""

    local: bool
    answer: str | None
    confidence: float | None
    reason: str
    policy: str | None = None
    signals: tuple[float, ...] = ()
    group: str | None = None
    audit_rate: float = 0.0
    tokens: tuple[int, int] = (0, 0)

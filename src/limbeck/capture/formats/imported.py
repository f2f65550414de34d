"""What a format reads out of a row: one call as the export tells it, and how sure it is of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from limbeck.models.call import Call, Reply
from limbeck.types import OutcomeSource, Usage

SURE = 1.0
"""Names that only this tool's exports have."""
LIKELY = 0.5
"""A shape that several tools share."""


class Sign(NamedTuple):
    """Why a row looks like a format, and how much that says: SURE or LIKELY."""

    weight: float
    why: str


class Skipped(NamedTuple):
    """A row, or a part of one, that is no call that could be learned from."""

    reason: str


class Score(NamedTuple):
    """What an export says of a call under a name of its own."""

    name: str
    value: Any
    source: OutcomeSource
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """One call with its reply.

    `body` is the request as its dialect writes it, or brought into the form of Chat Completions;
    `dialect` is None where the export does not say which one was spoken. `name` is the row's name
    within its file, and `request_id` names the call wherever it is told again. `usage` and `cost_usd`
    win over what the reply says.
    """

    call: Call
    body: dict[str, Any]
    reply: Reply
    dialect: str | None = None
    name: str | None = None
    request_id: str | None = None
    correlation: str | None = None
    subject: str | None = None
    group: str | None = None
    generator: str | None = None
    at: datetime | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    usage: Usage | None = None
    tier: str | None = None
    licence: str | None = None
    scores: tuple[Score, ...] = ()

"""A trace with all that hangs on it, as the text that the store keeps.

Whoever reads millions of them turns the text into nouns where there are processors for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from limbeck.store.rows import read_outcome
from limbeck.types import TRUST, Outcome


class Record(NamedTuple):
    """A trace as it is stored: its id and content, its outcomes in the order in which they came, and
    the rationale that was last asked for afterwards."""

    trace_id: str
    content: str
    outcomes: tuple[str, ...] = ()
    rationale: str | None = None


def best_outcome(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The outcome to believe of those of one trace, in the order in which they were attached: the most
    trusted source, then the latest `at`, then the last. One without a time counts as the earliest."""
    best: Outcome | None = None
    for outcome in outcomes:
        if best is None or _believed(outcome) >= _believed(best):
            best = outcome
    return best


def read_outcomes(contents: Iterable[str]) -> Outcome | None:
    """The outcome to believe; raises ValueError if a content is not that of an outcome."""
    return best_outcome(read_outcome(content) for content in contents)


def _believed(outcome: Outcome) -> tuple[int, datetime]:
    at = outcome.at or datetime.min.replace(tzinfo=UTC)
    return TRUST[outcome.source], at if at.tzinfo else at.replace(tzinfo=UTC)

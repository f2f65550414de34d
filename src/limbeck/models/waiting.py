"""How long to wait before asking a busy server again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""The statuses after which the same request may well succeed."""


def should_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Whether to ask again; a server that says so itself is believed."""
    said = headers.get("x-should-retry", "").strip().lower()
    if said in ("true", "false"):
        return said == "true"
    return status in RETRIED or status >= 500


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks for in `retry-after-ms` or `retry-after`, or None."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        # A NaN is not a number of seconds and compares false with everything.
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        at = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def wait_s(attempt: int, headers: Mapping[str, str], *, first_s: float, longest_s: float) -> float:
    """Seconds before the next attempt (`attempt` counts from 0).

    What the server asks for, up to `longest_s`; without that, `first_s` doubled at each attempt.
    A random half is taken off, so that clients that failed together do not come back together.
    """
    asked = asked_wait_s(headers)
    if asked is not None:
        return min(asked, longest_s)
    whole: float = min(first_s * 2.0**attempt, longest_s)
    return whole * (1 - random.random() / 2)

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from limbeck.cli.given import read_span, read_time
from limbeck.errors import UsageError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hours"), [("12h", 12), ("90d", 2160), ("2w", 336), ("1y", 8760), (" 1d ", 24)]
)
def test_a_span_is_a_number_and_a_unit(text: str, hours: int) -> None:
    assert read_span("--for", text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "0d", "d", "-1d", "1m", "1.5d", "٣d", "1234567h"])
def test_another_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--for is .* wanted a time such as"):
        read_span("--for", text)


def test_a_time_is_a_date_a_time_or_a_span_ago() -> None:
    assert read_time("--since", "2026-01-30T10:00:00Z", NOW) == datetime(
        2026, 1, 30, 10, tzinfo=UTC
    )
    assert read_time("--since", "30d", NOW) == NOW - timedelta(days=30)
    assert read_time("--since", "2026-01-30", NOW).tzinfo is not None
    with pytest.raises(UsageError, match="--since is 'yesterday'"):
        read_time("--since", "yesterday", NOW)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from limbeck.models.waiting import asked_wait_s, should_retry, wait_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_the_server_may_ask_for_a_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait_s(headers) == seconds


def test_the_server_may_name_a_time() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert asked_wait_s({"retry-after": later}) == pytest.approx(3600, abs=60)


def test_a_wait_is_never_longer_than_the_longest() -> None:
    assert wait_s(0, {"retry-after": "900"}, first_s=1, longest_s=60) == 60
    assert wait_s(50, {}, first_s=1, longest_s=60) <= 60


def test_waits_double_and_keep_at_least_half() -> None:
    for attempt, whole in enumerate([1, 2, 4, 8]):
        wait = wait_s(attempt, {}, first_s=1, longest_s=60)
        assert whole / 2 <= wait <= whole


def test_a_server_that_says_whether_to_retry_is_believed() -> None:
    assert should_retry(529, {})
    assert should_retry(429, {})
    assert not should_retry(400, {})
    assert should_retry(400, {"x-should-retry": "true"})
    assert not should_retry(503, {"x-should-retry": "false"})

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.formats.requests import Requests
from limbeck.capture.jsonl import BadLineError

Write = Callable[..., Path]


def test_a_body_is_found_by_its_name_in_any_order(write: Write) -> None:
    rows = [{"custom_id": f"r-{n}", "body": {"n": n, "text": "\ud800é"}} for n in range(500)]
    with Requests(write(rows, packed=True)) as requests:
        assert requests.body("r-499") == {"n": 499, "text": "\ud800é"}
        assert requests.body("r-0") == {"n": 0, "text": "\ud800é"}
        assert requests.body("r-500") is None
        assert requests.body(None) is None


def test_each_provider_has_its_own_name_for_the_body(write: Write) -> None:
    rows = [
        {"custom_id": "a", "body": {"model": "x"}},
        {"custom_id": "b", "params": {"model": "y"}},
        {"id": "c", "messages": []},
    ]
    with Requests(write(rows)) as requests:
        assert [requests.body(name) for name in "abc"] == [
            {"model": "x"},
            {"model": "y"},
            {"id": "c", "messages": []},
        ]


@pytest.mark.parametrize("row", [{"body": {}}, {"custom_id": 3, "body": {}}, {"custom_id": "a"}])
def test_a_row_that_is_no_request_is_named_by_its_line(row: dict[str, Any], write: Write) -> None:
    with pytest.raises(BadLineError, match="wanted custom_id and body") as caught:
        Requests(write([{"custom_id": "ok", "body": {}}, row]))
    assert caught.value.line == 2

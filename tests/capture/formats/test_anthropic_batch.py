from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.formats.anthropic_batch import read
from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.requests import Requests

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]


@pytest.fixture
def requests(write: Callable[..., Path], sent: Sample) -> Iterator[Requests]:
    with Requests(write(sent("anthropic_batch"), "sent.jsonl")) as opened:
        yield opened


def test_a_result_is_joined_with_its_request(sample: Sample, requests: Requests) -> None:
    [made] = read(sample("anthropic_batch")[0], requests)
    assert isinstance(made, Imported)
    assert (made.call.system, made.call.user) == ("Answer yes or no.", "Is a limpet a mollusc?")
    assert (made.reply.thinking, made.reply.text) == ("It has a foot.", "Answer: yes")
    assert (made.reply.usage.input, made.reply.usage.cached) == (24, 4)
    assert (made.dialect, made.request_id, made.tier) == ("anthropic", "msg_1", "batch")


@pytest.mark.parametrize("kind", ["errored", "canceled", "expired"])
def test_what_was_not_answered_is_skipped_by_its_kind(kind: str, requests: Requests) -> None:
    row = {"custom_id": "row-1", "result": {"type": kind, "error": {"type": "error"}}}
    assert list(read(row, requests)) == [Skipped(f"the call was {kind}")]

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.openai_stored import read
from limbeck.capture.formats.requests import Requests

Rows = list[dict[str, Any]]


def test_the_call_is_as_the_provider_told_it(sample: Callable[[str], Rows]) -> None:
    [row] = sample("openai_stored")
    [made] = read(row, None)
    assert isinstance(made, Imported)
    assert (made.dialect, made.request_id, made.correlation) == (
        "openai_chat",
        "chatcmpl-1",
        "order-7",
    )
    assert made.at == datetime.fromtimestamp(1_780_000_000, UTC)
    assert (made.reply.usage.input, made.reply.usage.output) == (20, 9)
    assert made.reply.stop_reason == "end_turn"


@pytest.mark.parametrize("key", ["messages", "input_messages", "input"])
def test_the_messages_may_be_a_page_of_their_endpoint(
    key: str, sample: Callable[[str], Rows]
) -> None:
    [row] = sample("openai_stored")
    del row["messages"]
    parts = [{"type": "text", "text": "Is it?"}]
    stored = {"id": "m-0", "role": "user", "content": "", "content_parts": parts}
    [made] = read({**row, key: {"object": "list", "data": [stored]}}, None)
    assert isinstance(made, Imported)
    assert made.call.user == "Is it?"


def test_the_messages_may_come_from_another_file(
    sample: Callable[[str], Rows], write: Callable[..., Path]
) -> None:
    [row] = sample("openai_stored")
    asked = {"id": "chatcmpl-1", "messages": row.pop("messages")}
    with Requests(write([asked])) as requests:
        [made] = read(row, requests)
    assert isinstance(made, Imported)
    assert made.call.user == "Is a limpet a mollusc?"
    [without] = read(row, None)
    assert isinstance(without, Skipped)
    assert "give them with --requests FILE" in without.reason

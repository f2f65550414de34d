from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.openai_batch import read
from limbeck.capture.formats.requests import Requests
from limbeck.capture.importer import import_file
from limbeck.capture.jsonl import BadLineError
from limbeck.errors import UsageError
from limbeck.store.store import Store

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]
Write = Callable[..., Path]


@pytest.fixture
def requests(write: Write, sent: Sample) -> Iterator[Requests]:
    with Requests(write(sent("openai_batch"), "sent.jsonl")) as opened:
        yield opened


def test_a_result_is_joined_with_its_request(sample: Sample, requests: Requests) -> None:
    [made] = read(sample("openai_batch")[0], requests)
    assert isinstance(made, Imported)
    assert made.call.user == "Is a limpet a mollusc?"
    assert (made.request_id, made.name, made.tier) == ("chatcmpl-1", "row-1", "batch")


def test_a_batch_is_paid_as_one(sample: Sample, sent: Sample, write: Write, store: Store) -> None:
    sent_file = write(sent("openai_batch"), "sent.jsonl")
    import_file(store, None, write(sample("openai_batch")), requests=sent_file)
    [trace] = store.traces(None)
    assert trace.usage.tier == "batch"
    assert trace.provenance.dialect == "openai_chat"


def test_failures_and_unknown_requests_are_skipped(sample: Sample, requests: Requests) -> None:
    [row] = sample("openai_batch")
    failed = {**row, "response": {"status_code": 400, "body": {"error": {"message": "no"}}}}
    expired = {**row, "response": None, "error": {"code": "batch_expired"}}
    assert list(read(failed, requests)) == [Skipped("the call failed")]
    assert list(read(expired, requests)) == [Skipped("the call failed")]
    assert list(read({**row, "custom_id": "row-2"}, requests)) == [
        Skipped("its request is not in the file of requests")
    ]


def test_another_endpoint_than_chat_is_named(sample: Sample, requests: Requests) -> None:
    [row] = sample("openai_batch")
    row["response"]["body"] = {"object": "list", "data": [{"embedding": [0.5]}]}
    with pytest.raises(BadLineError, match="wanted those of Chat Completions or Responses"):
        list(read(row, requests))


def test_without_the_requests_it_says_how_to_give_them(
    sample: Sample, write: Write, store: Store
) -> None:
    with pytest.raises(UsageError, match=r"\(openai_batch\); give the file that was sent with --r"):
        import_file(store, None, write(sample("openai_batch")))

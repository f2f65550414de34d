"""The results of Anthropic's Message Batches, joined with the requests that were sent.

Each line is `{"custom_id", "result": {"type": "succeeded", "message"}}`, or a result of the type
`errored`, `canceled` or `expired`; the requests are `{"custom_id", "params"}`. Batches are paid at the
tier `batch`.

Source: the official client, anthropic/types/messages/message_batch_individual_response.py and the
files beside it; Anthropic API reference, "Retrieve Message Batch results".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import SURE, Imported, Sign, Skipped
from limbeck.capture.formats.loose import words
from limbeck.capture.formats.requests import Requests
from limbeck.models.dialects.fields import mapping

NEEDS_REQUESTS = True
DIALECT = "anthropic"


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A custom id and a typed result."""
    if "custom_id" in row and isinstance(mapping(row.get("result")).get("type"), str):
        return Sign(SURE, "it has the keys 'custom_id' and 'result'")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The result with its request. Raises BadLineError."""
    assert requests is not None, "the importer asks for the requests before"
    name = words(row.get("custom_id"))
    result = mapping(row.get("result"))
    if result.get("type") != "succeeded":
        yield Skipped(f"the call was {words(result.get('type')) or 'not answered'}")
        return
    body = requests.body(name)
    if body is None:
        yield Skipped("its request is not in the file of requests")
        return
    reply = chat.read_reply(DIALECT, result.get("message"))
    yield Imported(
        call=chat.read_request(DIALECT, body),
        body=body,
        reply=reply,
        dialect=DIALECT,
        name=name,
        request_id=reply.request_id,
        tier="batch",
    )

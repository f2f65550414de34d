"""The output file of OpenAI's Batch API, joined with the file that was sent.

Each line is `{"custom_id", "response": {"status_code", "request_id", "body"}, "error"}`; the lines sent
are `{"custom_id", "method", "url", "body"}`. Chat Completions and Responses are read; batches are paid
at the tier `batch`.

Source: OpenAI API reference, "The request output object" and "The request input object" of Batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import SURE, Imported, Sign, Skipped
from limbeck.capture.formats.loose import first, moment, words
from limbeck.capture.formats.requests import Requests
from limbeck.capture.jsonl import BadLineError
from limbeck.models.dialects.fields import count, mapping

NEEDS_REQUESTS = True


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A custom id, and a response or an error."""
    answered = isinstance(row.get("response"), dict) or row.get("error") is not None
    if "custom_id" in row and "response" in row and answered:
        return Sign(SURE, "it has the keys 'custom_id' and 'response'")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The result with its request. Raises BadLineError."""
    assert requests is not None, "the importer asks for the requests before"
    name = words(row.get("custom_id"))
    response = mapping(row.get("response"))
    if row.get("error") is not None or count(response.get("status_code")) >= 400:
        yield Skipped("the call failed")
        return
    reply_body = mapping(response.get("body"))
    dialect = chat.spoken(reply_body)
    if dialect is None:
        raise BadLineError(
            f"the response's body has the keys {sorted(reply_body)!r}; wanted those of Chat "
            f"Completions or Responses"
        )
    body = requests.body(name)
    if body is None:
        yield Skipped("its request is not in the file of requests")
        return
    reply = chat.read_reply(dialect, reply_body)
    yield Imported(
        call=chat.read_request(dialect, body),
        body=body,
        reply=reply,
        dialect=dialect,
        name=name,
        request_id=reply.request_id or words(response.get("request_id")),
        at=moment(first(reply_body, "created", "created_at")),
        tier="batch",
    )

"""OpenAI's stored Chat Completions, as `GET /v1/chat/completions` lists them.

A stored completion has the reply; its messages come from `GET /v1/chat/completions/{id}/messages`.
They are read from `messages`, `input_messages` or `input` of the row (a list, or that endpoint's page
`{"object": "list", "data": [...]}`), or from lines `{"id", "messages"}` of the file of requests.

Source: OpenAI API reference, "List chat completions" and "Get chat messages"; the shapes are those of
the official client (openai/types/chat/chat_completion.py and chat_completion_store_message.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import SURE, Imported, Sign, Skipped
from limbeck.capture.formats.loose import first, loaded, moment, words
from limbeck.capture.formats.requests import Requests
from limbeck.models.dialects.fields import mapping

NEEDS_REQUESTS = False
INPUTS = ("messages", "input_messages", "input")


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A completion at the top of the row."""
    if row.get("object") == "chat.completion" and "choices" in row:
        return Sign(SURE, "its object is 'chat.completion'")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The completion with its messages. Raises BadLineError."""
    name = words(row.get("id"))
    joined = requests.body(name) if requests else None
    given = loaded(first(row, *INPUTS) or mapping(joined).get("messages"))
    if isinstance(given, dict) and isinstance(given.get("data"), list):
        given = given["data"]
    asked = chat.messages(_contents(given))
    if not asked:
        yield Skipped("the completion came without its messages; give them with --requests FILE")
        return
    reply = chat.read_reply(chat.CHAT, row)
    metadata = mapping(row.get("metadata"))
    call, body = chat.request(
        asked,
        model=words(row.get("model")),
        tools=row.get("tools"),
        form=row.get("response_format"),
    )
    yield Imported(
        call=call,
        body=body,
        reply=reply,
        dialect=chat.CHAT,
        request_id=name,
        correlation=words(metadata.get("correlation")),
        at=moment(row.get("created")),
    )


def _contents(given: Any) -> Any:
    """The messages of the endpoint keep a list of parts beside an empty text."""
    if not isinstance(given, list):
        return given
    return [
        {**one, "content": one["content_parts"]} if mapping(one).get("content_parts") else one
        for one in given
    ]

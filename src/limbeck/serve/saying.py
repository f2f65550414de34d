"""What the gateway says itself: errors in the words of a dialect, and its own headers on a reply."""

from __future__ import annotations

import json

from limbeck.capture.recording import Exchange
from limbeck.models.dialects.table import Dialect
from limbeck.serve.http.message import RawHeaders
from limbeck.serve.http.server import Client

JSON = (b"content-type", b"application/json")
NOT_KEPT = "the gateway could not write this call down, and is set to refuse such calls"


def refuse(
    client: Client,
    dialect: Dialect,
    status: int,
    message: str,
    *,
    kind: str = "api_error",
    headers: RawHeaders | None = None,
) -> None:
    """Answer with an error of the gateway's own, in the form that the dialect's clients know."""
    body = json.dumps(dialect.write_error(status, kind, message)).encode()
    client.send(status, [JSON, *(headers or ())], body)


def our_headers(exchange: Exchange, answered_by: str | None, trace_id: str | None) -> RawHeaders:
    """The headers that name a call, and say who answered it where that is given."""
    headers = [(b"x-limbeck-request-id", exchange.request_id.encode("latin-1", "replace"))]
    if answered_by is not None:
        headers.append((b"x-limbeck-answered-by", answered_by.encode()))
    if trace_id is not None:
        headers.append((b"x-limbeck-trace-id", trace_id.encode()))
    return headers

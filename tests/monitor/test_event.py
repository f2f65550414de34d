from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from limbeck.errors import WebhookError
from limbeck.monitor.event import BrokenPromise, tell

EVENT = BrokenPromise(
    task="refunds",
    student="s",
    policy="sha256:p",
    max_risk=0.05,
    audits=60,
    errors=12,
    closed=True,
    at=datetime(2026, 3, 1, tzinfo=UTC),
    next_step="limbeck curate --task refunds",
)


@contextmanager
def listening(status: int) -> Iterator[tuple[str, list[bytes]]]:
    heard: list[bytes] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_event_is_posted_as_json() -> None:
    with listening(204) as (url, heard):
        tell(url, EVENT, timeout_s=5)
    [body] = heard
    assert json.loads(body)["event"] == "promise_broken"
    assert BrokenPromise.model_validate_json(body) == EVENT


def test_an_address_that_says_no_or_is_none_is_one_sentence() -> None:
    with (
        listening(500) as (url, _),
        pytest.raises(WebhookError, match="answered 500; wanted 200 to 299"),
    ):
        tell(url, EVENT, timeout_s=5)
    for url in ("http://127.0.0.1:1/hook", "not a url"):
        with pytest.raises(WebhookError, match="could not be reached"):
            tell(url, EVENT, timeout_s=1)

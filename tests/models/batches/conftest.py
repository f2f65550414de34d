"""An upstream on loopback that answers from a script and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from limbeck.models.batches.connection import Connection

Step = tuple[int, dict[str, str], bytes] | None


@dataclass
class Upstream:
    """`script` holds (status, headers, body) for each request in turn; a None hangs up. A body shorter
    than its `content-length` breaks off."""

    url: str = ""
    script: list[Step] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.requests.append((self.command, self.path, headers, body))
            step = made.script.pop(0) if len(made.script) > 1 else made.script[0]
            self.close_connection = True
            if step is None:
                return
            status, more, said = step
            self.send_response(status)
            sent = {"content-length": str(len(said)), "connection": "close", **more}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = answer  # noqa: N815 - the name that the class looks for
        do_POST = answer  # noqa: N815 - the name that the class looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(upstream: Upstream) -> Iterator[Callable[..., Connection]]:
    """A connection to the upstream that notes its waits in `waits` and does not wait."""
    made: list[Connection] = []

    def make(dialect: str = "anthropic", waits: list[float] | None = None) -> Connection:
        noted = waits if waits is not None else []
        url = upstream.url if dialect == "anthropic" else f"{upstream.url}/v1"
        made.append(Connection(url, dialect, "secret-key", attempts=3, sleep=noted.append))
        return made[-1]

    yield make
    for connection in made:
        connection.close()

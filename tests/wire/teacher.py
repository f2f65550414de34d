"""A teacher on loopback that says what a test lets it say, and official clients that ask it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai

WIRE = Path(__file__).parent

Part = bytes | Callable[[], object]


class Asked(NamedTuple):
    """One request as it came; `headers` in their order and spelling."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass
class Said:
    """One reply: its parts are bytes to send or things to wait for. `whole=False` hangs up after
    them."""

    status: int
    headers: dict[str, str]
    parts: list[Part]
    whole: bool = True


@dataclass
class Teacher:
    """Answers each request with the next of `says`; the last one again and again."""

    url: str = ""
    says: list[Said] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    clients: list[anthropic.Anthropic | openai.OpenAI] = field(default_factory=list)

    def anthropic(self, **more: Any) -> anthropic.Anthropic:
        made = anthropic.Anthropic(api_key="key-1", base_url=self.url, max_retries=0, **more)
        self.clients.append(made)
        return made

    def openai(self, **more: Any) -> openai.OpenAI:
        made = openai.OpenAI(api_key="key-1", base_url=f"{self.url}/v1", max_retries=0, **more)
        self.clients.append(made)
        return made

    def says_json(self, name: str, status: int = 200, **headers: str) -> None:
        """Reply with a file of `tests/wire`; underscores in header names stand for hyphens."""
        kind = {"content-type": "application/json", "request-id": f"req_{name}"}
        self.says.append(Said(status, kind | _headers(headers), [read_wire(name)]))

    def says_stream(self, name: str, *, cut: int | None = None, **headers: str) -> None:
        """Stream the events of a file of `tests/wire`; `cut` hangs up after so many."""
        events = [event + b"\n\n" for event in read_wire(name).split(b"\n\n") if event.strip()]
        kind = {"content-type": "text/event-stream", "request-id": f"req_{name}"}
        parts: list[Part] = list(events[:cut])
        self.says.append(Said(200, kind | _headers(headers), parts, whole=cut is None))


def _headers(given: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}


def read_wire(name: str) -> bytes:
    return (WIRE / name).read_bytes()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    teacher: Teacher

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        self.teacher.asked.append(Asked(self.command, self.path, self.headers.items(), body))
        says = self.teacher.says
        said = says.pop(0) if len(says) > 1 else says[0]
        try:
            self._say(said)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_POST  # noqa: N815 - the base class asks for this name

    def _say(self, said: Said) -> None:
        self.send_response_only(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        streams = said.headers["content-type"] == "text/event-stream"
        if streams:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header(
                "content-length", str(sum(len(p) for p in said.parts if isinstance(p, bytes)))
            )
        self.end_headers()
        for part in said.parts:
            if isinstance(part, bytes):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if streams else part)
                self.wfile.flush()
            else:
                part()
        if not said.whole:
            self.close_connection = True
        elif streams:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@contextlib.contextmanager
def running_teacher() -> Iterator[Teacher]:
    """A teacher until the block ends; its clients are closed then."""
    made = Teacher()
    handler = type("Handler", (_Handler,), {"teacher": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield made
        for client in made.clients:
            client.close()
        server.shutdown()
        serving.join()

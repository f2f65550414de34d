"""A provider on loopback that sends the very bytes of a script, and a gateway in front of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from limbeck.models.dialects.table import TABLE
from limbeck.serve.gateway import Gateway
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.types import AnswerForm, ElicitForm, Price, Task, TeacherSpec

Step = bytes | Callable[[], object]


@dataclass
class Provider:
    """Each request is answered with the next of `replies`: bytes to send, or things to wait for.

    The connection is closed after each reply, which is a hang-up where the reply was not whole.
    """

    url: str = ""
    replies: list[list[Step]] = field(default_factory=list)
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    """The head and the body of every request, as they came."""

    def serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            head, _, body = b"", b"", b""
            received = b""
            while b"\r\n\r\n" not in received:
                chunk = connection.recv(65536)
                if not chunk:
                    return
                received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            lines = [line.lower() for line in head.split(b"\r\n")]
            lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
            while lengths and len(body) < lengths[0]:
                body += connection.recv(65536)
            self.requests.append((head, body))
            steps = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            for step in steps:
                if isinstance(step, bytes):
                    connection.sendall(step)
                else:
                    step()


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    threads: list[threading.Thread] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=made.serve, args=(connection,))
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()


@pytest.fixture
def whole() -> Callable[..., list[Step]]:
    """A whole response: `whole(body, status="200 OK", **headers)`."""

    def make(body: bytes, status: str = "200 OK", headers: bytes = b"") -> list[Step]:
        head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n"
        return [head.encode() + headers + b"\r\n" + body]

    return make


@pytest.fixture
def chunked() -> Callable[..., list[Step]]:
    """A streamed response, an HTTP chunk for each part; `end=False` leaves out its end."""

    def make(*parts: Step, end: bool = True, headers: bytes = b"") -> list[Step]:
        head = (
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n" + headers
        )
        steps: list[Step] = [head + b"transfer-encoding: chunked\r\n\r\n"]
        for part in parts:
            framed = b"%x\r\n%b\r\n" % (len(part), part) if isinstance(part, bytes) else part
            steps.append(framed)
        return [*steps, b"0\r\n\r\n"] if end else steps

    return make


@pytest.fixture
def task() -> Task:
    return Task(
        name="refunds",
        instruction="Decide.",
        answer=AnswerForm(kind="choice", choices=("grant", "deny")),
        teacher=TeacherSpec(model="teacher-1", price=Price(input=3.0, output=15.0)),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def gateway(
    provider: Provider, store: Store, task: Task
) -> Callable[..., AbstractContextManager[str]]:
    """`gateway(mode=..., answerer=..., store=..., **settings)` runs one; gives its URL."""

    @contextlib.contextmanager
    def run(
        mode: str = "record",
        answerer: Any = None,
        kept: Any = None,
        elicit: ElicitForm | None = None,
        stakes: str = "low",
        **settings: Any,
    ) -> Iterator[str]:
        upstreams = {
            "anthropic": {"base_url": provider.url, "key_env": "PLANTED_KEY"},
            "openai_chat": {"base_url": f"{provider.url}/v1", "key_env": "PLANTED_KEY"},
        }
        found = GatewaySettings.model_validate({"upstreams": upstreams, **settings})
        said = {"mode": mode, "elicit": elicit or task.elicit, "stakes": stakes}
        tasks = {task.name: task.model_copy(update=said)}
        app = Gateway(
            Setup.of(found, tasks), kept if kept is not None else store, answerer=answerer
        )
        with running_in_thread(app) as url:
            yield url

    return run


@pytest.fixture(params=sorted(TABLE))
def name(request: pytest.FixtureRequest) -> str:
    """A dialect of the gateway, each in its turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a student that thinks first, with the weights of chance."""
    from tests.students import THINK, chance_student

    folder = tmp_path_factory.mktemp("students") / "orders"
    return chance_student(folder, THINK, recipe="think-first", ends=True)

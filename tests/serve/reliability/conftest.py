"""A gateway as a process of its own, with its log at hand, and an upstream that answers as it is told."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import runpy
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any, Protocol

import pytest
import urllib3

from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client, Limits, Server
from limbeck.serve.running import running_in_thread
from limbeck.types import Usage
from limbeck.workspace import Workspace

Answer = Callable[[Request, Client], Awaitable[None]]


class Child(Protocol):
    """A process, as `subprocess.Popen` has them."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


@dataclass
class Process:
    """A gateway that runs; `log` is what it says on standard error."""

    url: str
    child: Child
    log: Path

    def health(self) -> Any:
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request("GET", f"{self.url}/limbeck/health", timeout=30).json()

    def said(self) -> str:
        return self.log.read_text()

    def may_write(self, size: int | None) -> None:
        """Let no file of the process grow beyond `size` bytes, as on a full disk; None lifts it."""
        soft = resource.RLIM_INFINITY if size is None else size
        limits = (soft, resource.RLIM_INFINITY)
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE, limits)

    def memory(self) -> int:
        """Bytes of memory that it holds now."""
        pages = Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def terminate(self) -> int:
        self.child.terminate()
        return self.child.wait()


BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
"""What takes root's right to write everything from a process."""

Start = Callable[..., AbstractContextManager[Process]]


@pytest.fixture(scope="session")
def nursery() -> ForkServerContext:
    """Makes gateways from a process that has imported them: a fork instead of half a second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "limbeck.serve.child", "limbeck.serve.gateway"])
    return context


@pytest.fixture
def start(workspace: Workspace, tmp_path: Path, nursery: ForkServerContext) -> Start:
    """`start(upstream_url, **settings)` runs a gateway of the workspace for as long as the context.

    With `bound=True` it may not write what is read-only, whoever runs the tests. `files` is how many
    it may open, and how many at most if it asks. With `fresh=True` it is begun as a user's is, by an
    interpreter of its own.
    """

    @contextlib.contextmanager
    def run(
        upstream: str,
        *,
        bound: bool = False,
        fresh: bool = False,
        files: tuple[int, int] | None = None,
        **settings: Any,
    ) -> Iterator[Process]:
        upstreams = {
            "anthropic": {"base_url": upstream},
            "openai_chat": {"base_url": f"{upstream}/v1"},
        }
        arguments = {
            "workspace": str(workspace.root),
            "settings": {"upstreams": upstreams, **settings},
        }
        spec = {
            "factory": "limbeck.serve.gateway:open_gateway",
            "arguments": arguments,
            "port": 0,
        }
        log = tmp_path / f"gateway-{len(list(tmp_path.glob('gateway-*')))}.log"
        asked = json.dumps(spec).encode() + b"\n"
        begun = run_fresh(log, bound, files) if bound or fresh else run_forked(nursery, log, files)
        with begun as (child, stdin, stdout):
            try:
                os.write(stdin, asked)
                said = stdout.readline()
                assert said, log.read_text()
                yield Process(json.loads(said)["url"], child, log)
            finally:
                child.kill() if child.poll() is not None else child.terminate()
                try:
                    child.wait(60)
                except subprocess.TimeoutExpired:
                    child.kill()
                    raise

    return run


Begun = tuple[Child, int, IO[bytes]]
"""A process, where to write what it reads, and where to read what it says."""


@contextlib.contextmanager
def run_fresh(log: Path, bound: bool, files: tuple[int, int] | None) -> Iterator[Begun]:
    """A child by an interpreter of its own."""
    with (
        log.open("wb") as words,
        subprocess.Popen(
            [
                *(BOUND if bound and os.geteuid() == 0 else ()),
                *(sys.executable, "-m", "limbeck.serve.child"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            preexec_fn=files and partial(resource.setrlimit, resource.RLIMIT_NOFILE, files),
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        yield child, child.stdin.fileno(), child.stdout


FORKED = Path(__file__).parent / "forked.py"


@contextlib.contextmanager
def run_forked(
    nursery: ForkServerContext, log: Path, files: tuple[int, int] | None
) -> Iterator[Begun]:
    """The same by a fork, with the same ends of its pipes."""
    reads, asks = nursery.Pipe(duplex=False)
    hears, says = nursery.Pipe(duplex=False)
    given = {"reads": reads, "says": says, "log": log, "files": files}
    process = nursery.Process(target=runpy.run_path, args=(str(FORKED), given, "__main__"))
    process.start()
    # With its ends open here too, neither side would see the other's end.
    reads.close()
    says.close()
    with asks, hears, open(hears.fileno(), "rb", closefd=False) as stdout:
        yield Forked(process), asks.fileno(), stdout


class Forked:
    """A process of `multiprocessing` as if it were one of `subprocess`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("gateway", timeout or 0)
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


@dataclass
class Upstream:
    """Answers every call in its dialect; `answer` may be replaced. `requests` is what came."""

    url: str = ""
    answer: Answer | None = None
    requests: list[Request] = field(default_factory=list)

    async def start(self, listener: socket.socket) -> None:
        self.server = Server(self._answer, Limits(body=2**28))
        await self.server.start(listener)

    async def stop(self) -> None:
        await self.server.stop(0.1)

    async def _answer(self, request: Request, client: Client) -> None:
        self.requests.append(request)
        await (self.answer or usual)(request, client)


async def usual(request: Request, client: Client) -> None:
    """A short reply, streamed where the call wants it."""
    path = request.target.partition(b"?")[0].decode("latin-1")
    spoken = next((one for one in map(dialect, TABLE) if path == one.PATH), None)
    if spoken is None or request.method != b"POST":
        return client.send(200, [(b"content-type", b"application/json")], b'{"data":[]}')
    reply = Reply(
        text="Because it is torn.\nAnswer: grant",
        stop_reason="end_turn",
        usage=Usage(input=10, output=5),
        model="teacher-1",
    )
    if b'"stream": true' in request.body or b'"stream":true' in request.body:
        client.start(200, [(b"content-type", b"text/event-stream")])
        for event in spoken.write_stream(reply):
            client.write(event)
        return client.end()
    body = json.dumps(spoken.write_reply(reply)).encode()
    return client.send(200, [(b"content-type", b"application/json")], body)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    with running_in_thread(made) as made.url:
        yield made


@pytest.fixture
def tasks(workspace: Workspace) -> Workspace:
    """The workspace with tasks of each kind: plain, elicited, with fields, redacted, off."""
    teacher = 'teacher = {model = "teacher-1"}\ninstruction = "Decide."\n'
    answer = "answer = {kind = 'choice', choices = ['grant', 'deny']}\n"
    kinds = {
        "plain": "",
        "inline": "elicit = {how = 'inline'}\n",
        "schema": "elicit = {how = 'schema'}\n",
        "fields": "call = {template = 'Row {row}: {text}', paths = {order = 'metadata.order'}}\n",
        "redacted": "redact = {kinds = ['email', 'phone', 'card', 'iban', 'key']}\n",
        "unrecorded": "mode = 'off'\n",
    }
    for name, lines in kinds.items():
        (workspace.tasks_folder / f"{name}.toml").write_text(teacher + answer + lines)
    return workspace

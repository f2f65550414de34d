"""Running an application on loopback: in the foreground, in a thread, or as a child process."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from limbeck.errors import ConfigError, LimbeckError

STOP_S = 10
"""Seconds that a server has for ending its open requests before it is killed."""
KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections, so that it is they who close them."""


class Running(NamedTuple):
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]


class _Server(uvicorn.Server):
    def __init__(self, app: ASGIApp, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                # A proxy passes on what the teacher says of itself and adds nothing.
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = lambda url: None,
    *,
    until: Callable[[], None] | None = None,
) -> None:
    """Serve `app` until it is interrupted, or until the function `until` returns.

    `ready` is called with the URL once requests are taken; port 0 takes a free one. Raises
    ConfigError where the port is taken.
    """
    with _listening(host, port) as (listener, url):
        server = _Server(app, lambda: ready(url))
        if until is not None:
            # A daemon: nothing is lost with a thread that only waits.
            waiting = threading.Thread(target=_stop_after, args=(until, server), daemon=True)
            waiting.start()
        # Ctrl-C is how a server in the foreground ends; the open requests have been answered.
        with contextlib.suppress(KeyboardInterrupt):
            _run(server, listener)


@contextlib.contextmanager
def running_in_thread(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The URL of `app`, served by a thread of this process while the context lasts."""
    with _listening("127.0.0.1", port) as (listener, url):
        started = threading.Event()
        server = _Server(app, started.set)

        failures: list[LimbeckError] = []

        def run() -> None:
            try:
                _run(server, listener)
            except LimbeckError as error:
                failures.append(error)
            finally:
                started.set()

        thread = threading.Thread(target=run, name="limbeck-server")
        thread.start()
        started.wait()
        if failures:
            thread.join()
            raise failures[0]
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def running(
    factory: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    port: int = 0,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """The application that `module:function` makes of `arguments`, as a child process.

    `arguments` must be JSON. The child ends with the context, or when this process dies. Raises
    LimbeckError, with the child's last words, where it does not start.
    """
    spec = {"factory": factory, "arguments": dict(arguments or {}), "port": port}
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "limbeck.serve.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=dict(environ) if environ is not None else None,
            # Ctrl-C in a terminal reaches a whole group: whoever started a child decides its end.
            start_new_session=True,
        )
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(spec).encode() + b"\n")
                process.stdin.flush()
            said = process.stdout.readline()
            if not said:
                process.wait()
                words.seek(0)
                raise LimbeckError(f"{factory} did not start: {_last_line(words.read())}")
            yield Running(json.loads(said)["url"], process)
        finally:
            _end(process)


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        server.run(sockets=[listener])
    except SystemExit:
        raise LimbeckError("the application did not start; see the messages above") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S + 5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _last_line(words: bytes) -> str:
    lines = words.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _stop_after(until: Callable[[], None], server: uvicorn.Server) -> None:
    until()
    server.should_exit = True


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on port {port} of {host}: {error.strerror}; "
                f"name another with --port, or 0 for any that is free"
            ) from None
        shown = f"[{host}]" if ":" in host else host
        yield listener, f"http://{shown}:{listener.getsockname()[1]}"

"""Running an application on loopback: in the foreground, in a thread, or as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

from limbeck.errors import ConfigError, LimbeckError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

FILES = 65_536
"""Open files that a server asks the system for."""
STOP_S = 10
"""Seconds that a server of ASGI has for ending its open requests."""
KILL_S = 60
"""Seconds that a child has for ending before it is killed: longer than a gateway drains."""
KEEP_ALIVE_S = 75
"""Longer than clients keep idle connections, so that it is they who close them."""


class Service(Protocol):
    """What can be run here besides ASGI applications: a gateway."""

    async def start(self, listener: socket.socket) -> None:
        """Begin to take requests from `listener`."""

    async def stop(self) -> None:
        """Let what is on its way end."""


@runtime_checkable
class Hasty(Protocol):
    """A service that can end sooner: it is told so by a second signal."""

    def hurry(self) -> None:
        """Wait no longer for what is on its way."""


App: TypeAlias = "Service | ASGIApp"


class Running(NamedTuple):
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]


def serve(
    app: App,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = lambda url: None,
    *,
    until: Callable[[], None] | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM, or until the function `until` returns. A second signal ends
    it without waiting for what is on its way.

    `ready` is called with the URL once requests are taken; port 0 takes a free one. Raises
    ConfigError where the port is taken.
    """
    with _listening(host, port) as (listener, url):
        _tune()

        def begun(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
            def told() -> None:
                if stopping.is_set() and isinstance(app, Hasty):
                    app.hurry()
                stopping.set()

            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signum, told)
            if until is not None:
                # A daemon: nothing is lost with a thread that only waits.
                waiting = threading.Thread(
                    target=_stop_after, args=(until, loop, stopping), daemon=True
                )
                waiting.start()
            ready(url)

        _run(app, listener, begun)


@contextlib.contextmanager
def running_in_thread(app: App, port: int = 0) -> Iterator[str]:
    """The URL of `app`, served by a thread of this process while the context lasts."""
    with _listening("127.0.0.1", port) as (listener, url):
        started: Future[Callable[[], None]] = Future()

        def begun(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
            def stop() -> None:
                loop.call_soon_threadsafe(stopping.set)

            started.set_result(stop)

        def run() -> None:
            try:
                _run(app, listener, begun)
            except BaseException as error:  # raised where the context is entered
                if started.done():
                    raise
                started.set_exception(error)

        thread = threading.Thread(target=run, name="limbeck-server")
        thread.start()
        try:
            stop = started.result()
        except BaseException:
            thread.join()
            raise
        try:
            yield url
        finally:
            stop()
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


Begun = Callable[[asyncio.AbstractEventLoop, asyncio.Event], None]
"""Called in the loop when requests are taken; setting the event ends the service."""


def _run(app: App, listener: socket.socket, begun: Begun) -> None:
    service = cast(Service, app) if hasattr(app, "start") else _Asgi(app)

    async def run() -> None:
        stopping = asyncio.Event()
        await service.start(listener)
        try:
            begun(asyncio.get_running_loop(), stopping)
            await stopping.wait()
        finally:
            await service.stop()

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(run())


def _tune() -> None:
    """Settings of the interpreter for a process that only serves."""
    # What is loaded by now stays: looking through it again finds no garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    # The thread that writes to the disk must not keep the loop waiting for the usual 5 ms.
    sys.setswitchinterval(0.0005)
    _allow_files()


def _allow_files() -> None:
    """As many open files as the system lets this process have: each stream needs two."""
    try:
        import resource
    except ModuleNotFoundError:  # there is none for Windows, nor such a limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(
            ValueError, OSError
        ):  # some systems have a lower limit of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _Asgi:
    """An ASGI application as a service."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def start(self, listener: socket.socket) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # Signals are for whoever runs the service.

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if self.started:
                    started.set()

        started = asyncio.Event()
        self._server = Server(
            uvicorn.Config(
                self._app,
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S,
            )
        )
        self._serving = asyncio.create_task(self._serve(listener))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            waiting.cancel()
            raise LimbeckError("the application did not start; see the messages above")

    async def _serve(self, listener: socket.socket) -> None:
        # uvicorn ends the process where the application does not start: here that is an error.
        with contextlib.suppress(SystemExit):
            await self._server.serve(sockets=[listener])

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._serving


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(KILL_S)
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


def _stop_after(
    until: Callable[[], None], loop: asyncio.AbstractEventLoop, stopping: asyncio.Event
) -> None:
    until()
    with contextlib.suppress(RuntimeError):  # The loop has ended by itself.
        loop.call_soon_threadsafe(stopping.set)


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

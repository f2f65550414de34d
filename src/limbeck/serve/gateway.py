"""The gateway: a drop-in proxy that writes down every call before it answers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from limbeck import __version__
from limbeck.errors import ConfigError, StoreError
from limbeck.models.dialects.table import TABLE, Dialect, dialect
from limbeck.serve.admission import Admission, Refusal
from limbeck.serve.audit import Audits
from limbeck.serve.control import Control, say
from limbeck.serve.counts import Counts
from limbeck.serve.http.client import Pool
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client, Limits, Server
from limbeck.serve.keys import FILE as KEYS
from limbeck.serve.keys import KeyRing
from limbeck.serve.metrics import Metrics
from limbeck.serve.otel import Spans, open_spans
from limbeck.serve.recorder import Recorder
from limbeck.serve.relay import Relay
from limbeck.serve.route import Route
from limbeck.serve.saying import refuse
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup, Source
from limbeck.serve.student import Answerer, Renewable, Turn
from limbeck.serve.watch import Watch
from limbeck.store.spool import Spool, absorb
from limbeck.store.store import Store
from limbeck.workspace import Workspace

RELOAD_S = 1.0
"""Seconds between two looks at the configuration files."""
TIDY_LOOKS = 5
"""Looks between two times of tidying the store."""

log = logging.getLogger("limbeck.gateway")


class Gateway:
    """A gateway over one store. It holds no state but counts and what is being written.

    `source` is where the configuration is read again when it changes. `answerer` decides who answers
    in tasks of mode `cascade`; without one the teacher does. `spans` are sent for each call. `on_stop` is
    called when all is on disk.
    """

    def __init__(
        self,
        setup: Setup,
        store: Store,
        *,
        source: Source | None = None,
        keys: KeyRing | None = None,
        spool: Path | None = None,
        answerer: Answerer | None = None,
        spans: Spans | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        self.counts = Counts()
        self.metrics = Metrics()
        self._spans = spans
        self._setup = setup
        self._store = store
        self._source = source
        self._admission = Admission(keys)
        self._spool = Spool(spool) if spool is not None else None
        self._answerer = answerer
        self._on_stop = on_stop
        self._calls = {dialect(name).PATH.encode(): dialect(name) for name in TABLE}

    async def start(self, listener: socket.socket) -> None:
        """Take requests from `listener`."""
        settings = self._setup.settings
        self._pool = Pool(
            connect_s=settings.connect_timeout_s, silence_s=settings.silence_timeout_s
        )
        self._pool.open()
        self._recorder = Recorder(self._store, self._spool, self.counts, self.metrics)
        self._watch = Watch(settings, self.metrics, self.counts, self._spans)
        self._relay = Relay(
            self._setup,
            self._pool,
            self._recorder,
            self.counts,
            Turn(self._answerer, self.counts),
            Audits(lambda outcomes: self._store.attach(outcomes), self.counts),
            self._watch,
        )
        self._control = Control(
            self._store,
            self._setup,
            self._recorder,
            self.counts,
            self._source,
            self._admission,
            self._scrape,
        )
        self._server = Server(
            self.answer,
            Limits(
                body=settings.max_request_bytes,
                request_s=settings.request_timeout_s,
                stalled_s=settings.stalled_timeout_s,
            ),
        )
        await self._server.start(listener)
        self._renewing = asyncio.Lock()
        self._looking = asyncio.create_task(self._look())
        host, port = listener.getsockname()[:2]
        fields = {"host": host, "port": port, "tasks": sorted(self._setup.tasks)}
        log.info("the gateway listens", extra={"event": "start", "version": __version__, **fields})

    async def stop(self) -> None:
        """Let the calls on their way end, then put everything on disk."""
        self._looking.cancel()
        busy = sum(one.busy for one in self._server.clients)
        cut = await self._server.stop(self._setup.settings.drain_s)
        await self._relay.audits.finish(self._setup.settings.drain_s)
        self._pool.close()
        await asyncio.to_thread(self._recorder.close)
        if isinstance(self._answerer, Renewable):
            await asyncio.to_thread(self._answerer.close)
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)
        fields = {"drained": max(busy - cut, 0), "cut": cut, "recorded": self.counts.recorded}
        log.info("the gateway has stopped", extra={"event": "stop", **fields})
        if self._on_stop is not None:
            self._on_stop()

    def hurry(self) -> None:
        """Cut off the calls on their way; what came of them is still put on disk."""
        self._server.hurry()

    async def answer(self, request: Request, client: Client) -> None:
        """Answer one request."""
        self.counts.bytes_in += len(request.body)
        route = Route.of(request.target)
        spoken = self._calls.get(route.path) if request.method == b"POST" else None
        admitted = self._admission.check(
            self._setup.settings, request, route, self._server.loop.time()
        )
        if isinstance(admitted, Refusal):
            self.counts.client_refused(admitted.kind)
            fields = {"event": "client_refused", "kind": admitted.kind, "status": admitted.status}
            log.warning("a client was refused", extra=fields)
            spoken = spoken or self._dialect(request, route)
            return refuse(
                client,
                spoken,
                admitted.status,
                admitted.message,
                kind=admitted.kind,
                headers=admitted.headers,
            )
        if spoken is not None:
            return await self._relay.answer(request, client, route, spoken, admitted)
        if route.path.startswith(b"/v1/"):
            spoken = self._dialect(request, route)
            return await self._relay.pass_on(request, client, route, spoken, admitted)
        if route.path.startswith(b"/limbeck/"):
            stranger = admitted is None and self._setup.settings.wants_keys
            return await self._control.answer(request, client, route.path, stranger=stranger)
        if route.path == b"/" and request.method in (b"GET", b"HEAD"):
            return self._control.greet(client)
        message = f"there is nothing at {route.path.decode('latin-1')!r}; calls go to /v1/..."
        return say(client, 404, {"error": {"type": "not_found_error", "message": message}})

    async def _scrape(self, accept: str) -> tuple[bytes, str]:
        # Only here: a gateway that nobody scrapes does without the library.
        from limbeck.serve.exposition import Levels, expose

        clients = self._server.clients
        levels = Levels(
            connections=len(clients),
            busy=sum(one.busy for one in clients),
            waiting=self._recorder.waiting,
            stale=self._source is not None and self._source.error is not None,
            failed=self._server.failed,
        )
        return await asyncio.to_thread(expose, self.metrics, self.counts, levels, accept)

    def _dialect(self, request: Request, route: Route) -> Dialect:
        if route.path in self._calls:
            return self._calls[route.path]
        named = self._setup.teachers.get(route.upstream) if route.upstream else None
        if named is not None:
            return named.dialect
        # Paths that both providers have (`/v1/models`) are told apart by a header that one requires.
        theirs = request.header(b"anthropic-version") is not None
        messages = route.path.startswith(b"/v1/messages/")
        return dialect("anthropic" if theirs or messages else "openai_chat")

    async def _look(self) -> None:
        """Read the configuration again when it changes, and tidy the store now and then."""
        looks = 0
        while True:
            changed = self._changed()
            if changed is not None:
                self._watch.settings = changed.settings
                self._setup = self._relay.setup = self._control.setup = changed
            if isinstance(self._answerer, Renewable) and not self._renewing.locked():
                # Held, because the event loop keeps only weak references to tasks.
                self._renewal = asyncio.create_task(self._renew(self._answerer))
            if looks % TIDY_LOOKS == 0:
                await asyncio.to_thread(self._tidy)
            looks += 1
            await asyncio.sleep(RELOAD_S)

    async def _renew(self, answerer: Renewable) -> None:
        """Take over the students that were promoted or closed; calls go on meanwhile."""
        async with self._renewing:
            try:
                await asyncio.to_thread(answerer.refresh)
            except Exception as error:  # noqa: BLE001 - it is tried again, and the teacher answers
                self.counts.last_student_error = f"{type(error).__name__}: {error}"
                fields = {"event": "student_not_loaded"}
                log.warning("a promoted student cannot be used: %s", error, extra=fields)

    def _changed(self) -> Setup | None:
        if self._source is None:
            return None
        before = self._source.error
        changed = self._source.changed()
        if self._source.error is not None and self._source.error is not before:
            self.counts.configuration_errors += 1
        return changed

    def _tidy(self) -> None:
        """Bring in what waits in the spool, and attach outcomes that came before their traces."""
        try:
            if self._spool is not None:
                absorbed = absorb(self._store, self._spool.folder)
                self.counts.absorbed += absorbed.lines
                self.counts.spool_damaged += absorbed.damaged
            self._store.settle()
            self._store.sort_in()
        except Exception as error:  # noqa: BLE001 - it is tried again, and calls go on meanwhile
            self.counts.last_store_error = f"{type(error).__name__}: {error}"
            fields = {"event": "store_not_tidied"}
            log.warning("the store could not be tidied: %s", error, extra=fields)


def _no_keys(settings: GatewaySettings, problem: str | None) -> str:
    """Why a gateway that wants client keys does not start without a usable one."""
    if problem is not None:
        return problem
    if settings.require_keys:
        return (
            "require_keys is true and there are no usable client keys, so that nobody could call; "
            "make one with: limbeck keys create NAME"
        )
    return (
        f"host is {settings.host!r} and there are no client keys; wanted a loopback address, "
        "or a key for each client, because whoever reaches the gateway can spend your money; make "
        "one with: limbeck keys create NAME"
    )


def open_gateway(
    workspace: str | Path,
    settings: Mapping[str, Any] | None = None,
    answerer: str | Answerer | None = None,
) -> Gateway:
    """The gateway of the workspace at a path.

    `settings` stand above those in `limbeck.toml`. `answerer`, as text, is the `module:function` that
    makes one from the Workspace. Raises ConfigError and StoreError.
    """
    opened = Workspace.find(Path(workspace))
    source = Source(opened, settings)
    setup = source.read()
    made = _made(answerer, opened) if isinstance(answerer, str) else answerer
    keys = KeyRing(opened.home / KEYS)
    if setup.settings.wants_keys and not keys.usable:
        raise ConfigError(_no_keys(setup.settings, keys.problem))
    spool = None
    if setup.settings.on_store_failure == "spool":
        spool = opened.root / setup.settings.spool
    spans = open_spans(setup.settings)
    store = Store(opened.store_url, wait_s=setup.settings.store_timeout_s)
    try:
        store.require_writable()
    except StoreError:
        store.close()
        raise
    return Gateway(
        setup,
        store,
        source=source,
        keys=keys,
        spool=spool,
        answerer=made,
        spans=spans,
        on_stop=store.close,
    )


def _made(answerer: str, workspace: Workspace) -> Answerer:
    module, _, function = answerer.partition(":")
    made: Answerer = getattr(import_module(module), function)(workspace)
    return made

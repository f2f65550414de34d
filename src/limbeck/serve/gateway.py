"""The gateway: a drop-in proxy that writes down every call before it answers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from limbeck import __version__
from limbeck.errors import StoreError
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.serve.guard import LoopbackGuard
from limbeck.serve.outcomes import attach
from limbeck.serve.recorder import Counts, Recorder
from limbeck.serve.relay import Relay
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.student import Answerer
from limbeck.serve.upstream import Upstreams
from limbeck.store.store import Store
from limbeck.store.writer import Writer
from limbeck.types import Task
from limbeck.workspace import FILE, Workspace, read_values

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

Endpoint = Callable[[Request], Awaitable[ASGIApp]]


def create_app(
    settings: GatewaySettings,
    store: Store,
    tasks: Mapping[str, Task],
    answerer: Answerer | None = None,
    *,
    on_stop: Callable[[], None] | None = None,
) -> Starlette:
    """The gateway as an ASGI application; it holds no state but counts and what is being written.

    `answerer` decides who answers in tasks of mode `cascade`; without one the teacher does.
    `on_stop` is called when everything is on disk.
    """
    counts = Counts()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        writer = Writer(store)
        try:
            async with Upstreams(settings) as upstreams:
                recorder = Recorder(writer, counts)
                app.state.relay = Relay(settings, tasks, upstreams, recorder, counts, answerer)
                yield
        finally:
            await run_in_threadpool(writer.close)
            if on_stop is not None:
                on_stop()

    async def health(request: Request) -> Response:
        return JSONResponse(_health(counts, tasks))

    async def outcomes(request: Request) -> Response:
        return await _attach(store, request)

    calls = [
        Route(prefix + dialect(name).PATH, _Relayed(_answering(name)), methods=["POST"])
        for name in TABLE
        for prefix in ("", "/t/{task}")
    ]
    others = [
        Route(f"{prefix}/v1/{{path:path}}", _Relayed(_passing_on), methods=METHODS)
        for prefix in ("", "/t/{task}")
    ]
    return Starlette(
        routes=[
            Route("/", _greet, methods=["GET", "HEAD"]),
            Route("/limbeck/health", health, methods=["GET"]),
            Route("/limbeck/v1/outcomes", outcomes, methods=["POST"]),
            *calls,
            *others,
        ],
        middleware=[Middleware(LoopbackGuard)],
        lifespan=lifespan,
    )


def open_app(
    workspace: str,
    settings: Mapping[str, Any] | None = None,
    answerer: str | None = None,
) -> Starlette:
    """The gateway of the workspace at a path, for a process of its own.

    `settings` stand above those in `limbeck.toml`. `answerer` is the `module:function` that makes
    one from the Workspace. Raises ConfigError and StoreError.
    """
    opened = Workspace.find(workspace)
    found = read_settings(opened, settings)
    made: Answerer | None = None
    if answerer is not None:
        module, _, function = answerer.partition(":")
        made = getattr(import_module(module), function)(opened)
    store = Store(opened.store_url)
    tasks = {task.name: task for task in opened.tasks()}
    return create_app(found, store, tasks, made, on_stop=store.close)


def read_settings(workspace: Workspace, above: Mapping[str, Any] | None = None) -> GatewaySettings:
    """The section `[gateway]`, with what the command line says above it. Raises ConfigError."""
    values = {**workspace.settings.gateway, **(above or {})}
    return read_values(GatewaySettings, values, workspace.root / FILE, "gateway")


class _Relayed:
    """An endpoint whose answer may be any ASGI application, so that streams end as they do."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._endpoint(Request(scope, receive))
        await answer(scope, receive, send)


def _answering(name: str) -> Endpoint:
    async def answer(request: Request) -> ASGIApp:
        relay: Relay = request.app.state.relay
        return await relay.answer(request, dialect(name))

    return answer


async def _passing_on(request: Request) -> ASGIApp:
    relay: Relay = request.app.state.relay
    path = quote(f"/v1/{request.path_params['path']}", safe="/:@!$&'()*+,;=-._~")
    # Paths that both providers have (`/v1/models`) are told apart by a header that one requires.
    messages = dialect("anthropic")
    theirs = "anthropic-version" in request.headers or path.startswith(f"{messages.PATH}/")
    return await relay.pass_on(request, messages if theirs else dialect("openai_chat"), path)


async def _greet(request: Request) -> Response:
    return JSONResponse({"limbeck": __version__, "health": "/limbeck/health"})


def _health(counts: Counts, tasks: Mapping[str, Task]) -> dict[str, Any]:
    failing = counts.unrecorded or counts.student_failures
    return {
        "status": "degraded" if failing else "ok",
        "version": __version__,
        "tasks": {name: task.mode for name, task in sorted(tasks.items())},
        **vars(counts),
    }


async def _attach(store: Store, request: Request) -> Response:
    try:
        body = json.loads(await request.body())
    except ValueError:
        message = "the body is not JSON; wanted an outcome, or a list of them"
        return JSONResponse({"status": 400, "error": message}, 400)
    single = not isinstance(body, list)
    try:
        results = await run_in_threadpool(attach, store, [body] if single else body)
    except StoreError as error:
        return JSONResponse({"status": 503, "error": str(error)}, 503)
    shown = [result.model_dump(exclude_none=True) for result in results]
    if single:
        return JSONResponse(shown[0], results[0].status)
    whole = all(result.status == 200 for result in results)
    return JSONResponse({"results": shown}, 200 if whole else 207)

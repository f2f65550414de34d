from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import urllib3
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from limbeck.errors import ConfigError, LimbeckError
from limbeck.serve.running import running, running_in_thread, serve


async def _hello(request: object) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_an_application_runs_while_its_context_lasts() -> None:
    stopped = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        stopped.append(True)

    app = Starlette(routes=[Route("/", _hello)], lifespan=lifespan)
    with running_in_thread(app) as url, urllib3.PoolManager(retries=False) as pool:
        assert pool.request("GET", url).data == b"hello"
    assert stopped == [True]
    with (
        urllib3.PoolManager(retries=False) as pool,
        pytest.raises(urllib3.exceptions.HTTPError),
    ):
        pool.request("GET", url)


def test_a_server_ends_when_it_is_not_needed_any_more() -> None:
    urls: list[str] = []
    serve(Starlette(), ready=urls.append, until=lambda: None)
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on port {port} of 127\.0\.0\.1"):
            serve(Starlette(), port=port)


def test_a_child_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(LimbeckError, match="did not start: no sandbox task 'chess'"),
        running("limbeck.capture.sandbox.server:create_app", {"tasks": ["chess"]}),
    ):
        pass


def test_an_application_that_does_not_start_is_an_error() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ValueError("no")
        yield

    with (
        pytest.raises(LimbeckError, match="did not start"),
        running_in_thread(Starlette(lifespan=lifespan)),
    ):
        pass

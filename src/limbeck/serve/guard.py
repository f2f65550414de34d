"""Only programs on this machine: a web page in a browser must not reach a gateway on loopback."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from limbeck.serve.settings import is_loopback


class LoopbackGuard:
    """Refuses requests that a foreign web page makes, or that come under a foreign host name.

    The address alone is no protection: a page may send requests to loopback, and a name of its own
    may be made to resolve there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            for name in ("host", "origin"):
                value = headers.get(name)
                if value is not None and not _is_local(value):
                    await _refusal(name, value)(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _is_local(value: str) -> bool:
    try:
        host = urlsplit(value if "//" in value else f"//{value}").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def _refusal(name: str, value: str) -> JSONResponse:
    message = f"header {name} is {value!r}; wanted this machine, as in http://127.0.0.1"
    return JSONResponse({"error": {"type": "permission_error", "message": message}}, 403)

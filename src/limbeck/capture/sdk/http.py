"""The HTTP client inside an official client, with somebody who reads along.

The official clients send through `httpx2` (older ones through `httpx`, which looks the same). What
stands here takes part by public methods alone: `send`, `build_request`, `close`, and the byte stream
of a response. Each attempt of a client that tries again is a `send` of its own.
"""

from __future__ import annotations

from typing import Any

from limbeck.capture.sdk.passing import AsyncPassing, Passing, as_stream, settled, settled_async
from limbeck.capture.sdk.session import OURS, SIGNED, Outgoing, Session
from limbeck.capture.sdk.watch import Watch

LIBRARIES = ("httpx2", "httpx")


def recording_client(inner: Any, session: Session) -> Any:
    """An HTTP client like `inner`, sending through it, whose calls are recorded."""
    if isinstance(inner, _Recording):
        # A client that is wrapped twice is recorded once, as it was told last.
        inner = inner._limbeck[0]
    kind = http_kind(inner)
    sending = _AsyncSending if kind.__name__ == "AsyncClient" else _Sending
    client: Any = object.__new__(type(f"Recording{kind.__name__}", (sending, kind), {}))
    client.__dict__.update(vars(inner))
    client._limbeck = (inner, session)
    return client


def http_kind(client: Any) -> type:
    """The class `Client` or `AsyncClient` of the HTTP library that `client` is made of.

    Raises TypeError where it is of neither.
    """
    for kind in type(client).__mro__:
        known = kind.__module__.partition(".")[0] in LIBRARIES
        if known and kind.__name__ in ("Client", "AsyncClient"):
            return kind
    raise TypeError(
        f"the client sends through {type(client).__qualname__!r}; wanted a client of "
        f"{' or '.join(LIBRARIES)}, as the official clients have"
    )


class _Recording:
    """What both ways of sending have in common: the inner client and the session."""

    _limbeck: tuple[Any, Session]

    @property
    def is_closed(self) -> bool:
        return bool(self._limbeck[0].is_closed)

    def build_request(self, *args: Any, **more: Any) -> Any:
        return self._limbeck[0].build_request(*args, **more)

    def __del__(self) -> None:
        """Nothing: the inner client ends itself when nobody has it any more."""


class _Sending(_Recording):
    def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
        inner, session = self._limbeck
        outgoing = _begin(session, request)
        request, sent = _as_told(request, outgoing), request
        watch = outgoing.watch
        if watch is None:
            return inner.send(request, stream=stream, **more)
        try:
            response = inner.send(request, stream=True, **more)
        except BaseException as error:
            settled(session, session.lost(watch, error), quiet=True)
            raise
        response.request = sent
        try:
            if _is_read(response, watch):
                settled(session, session.keep(watch, "whole"))
                return response
            response.stream = as_stream(Passing, response, session, watch)
            if not stream:
                response.read()
        except BaseException:
            response.close()
            raise
        return response

    def close(self) -> None:
        self._limbeck[0].close()


class _AsyncSending(_Recording):
    async def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
        inner, session = self._limbeck
        outgoing = _begin(session, request)
        request, sent = _as_told(request, outgoing), request
        watch = outgoing.watch
        if watch is None:
            return await inner.send(request, stream=stream, **more)
        try:
            response = await inner.send(request, stream=True, **more)
        except BaseException as error:
            await settled_async(session, session.lost(watch, error), quiet=True)
            raise
        response.request = sent
        try:
            if _is_read(response, watch):
                await settled_async(session, session.keep(watch, "whole"))
                return response
            response.stream = as_stream(AsyncPassing, response, session, watch)
            if not stream:
                await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response

    async def aclose(self) -> None:
        await self._limbeck[0].aclose()


def _begin(session: Session, request: Any) -> Outgoing:
    headers = {name.lower(): value for name, value in request.headers.items()}
    # Bodies that are files or iterators have no content yet; they are no calls of a model.
    return session.begin(
        request.method, str(request.url), headers, lambda: bytes(getattr(request, "content", b""))
    )


def _as_told(request: Any, outgoing: Outgoing) -> Any:
    """`request` without headers that concern only us, and with what is asked for in addition."""
    signature = request.headers.get("authorization", "")
    signature = signature.lower() if signature.startswith(SIGNED) else ""
    for name in OURS:
        if name in request.headers and name not in signature:
            del request.headers[name]
    request.headers.update(outgoing.headers)
    if outgoing.content is None:
        return request
    headers = request.headers.copy()
    headers["content-length"] = str(len(outgoing.content))
    # What is asked for in addition has to be taken out again on the way.
    headers["accept-encoding"] = "identity"
    return type(request)(
        request.method,
        request.url,
        headers=headers,
        content=outgoing.content,
        extensions=request.extensions,
    )


def _is_read(response: Any, watch: Watch) -> bool:
    """Tell `watch` of the reply's head; and of all of it, where a hook has read it before us."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if not response.is_closed:
        encoding = headers.get("content-encoding", "identity")
        kind = type(response)

        def decode_whole(data: bytes) -> bytes:
            return bytes(kind(200, headers={"content-encoding": encoding}, content=data).content)

        watch.answered(response.status_code, headers, decode_whole)
        return False
    headers.pop("content-encoding", None)
    watch.answered(response.status_code, headers, bytes)
    watch.feed(response.content)
    return True

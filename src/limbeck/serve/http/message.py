"""What passes over a connection, as bytes, in the order and spelling in which it came."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

RawHeaders = list[tuple[bytes, bytes]]


class Request:
    """One request, with its whole body. `target` is as it stands in the request line."""

    __slots__ = ("_by_name", "_headers", "body", "keep_alive", "method", "target", "version")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: RawHeaders,
        body: bytes,
        *,
        version: str = "1.1",
        keep_alive: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self._headers = headers
        self.body = body
        self.version = version
        self.keep_alive = keep_alive
        self._by_name: dict[bytes, bytes] | None = None

    @property
    def headers(self) -> RawHeaders:
        return self._headers

    @headers.setter
    def headers(self, headers: RawHeaders) -> None:
        self._headers = headers
        self._by_name = None

    def header(self, name: bytes) -> bytes | None:
        """The value of the header called `name` (in lower case), the last of several; or None."""
        if self._by_name is None:
            self._by_name = {name.lower(): value for name, value in self._headers}
        return self._by_name.get(name)


def find(headers: RawHeaders, name: bytes) -> bytes | None:
    """The first value of the header called `name` (in lower case), or None."""
    size = len(name)
    for found, value in headers:
        if len(found) == size and found.lower() == name:
            return value
    return None


@cache
def reason_of(status: int) -> bytes:
    """The usual words for a status; none for one that nobody defined."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def head(first_line: bytes, headers: RawHeaders) -> bytes:
    """The bytes of a message before its body."""
    lines = [first_line]
    for name, value in headers:
        lines.append(name + b": " + value)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)

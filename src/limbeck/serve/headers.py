"""Which headers pass through the gateway, in both directions."""

from __future__ import annotations

from collections.abc import Iterable

RawHeaders = list[tuple[bytes, bytes]]

# RFC 9110, section 7.6.1: these speak of one connection and not of the message.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
OURS = b"x-limbeck-"
SIMULATED = b"x-limbeck-simulated"
# `accept-encoding` is set anew: what passes has to be read on its way.
REPLACED = frozenset({b"host", b"content-length", b"accept-encoding", b"expect"})
KEYS = frozenset({b"authorization", b"x-api-key"})


def to_teacher(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """The client's headers as the teacher gets them."""
    headers = [(name.lower(), value) for name, value in headers]
    stopped = HOP_BY_HOP | REPLACED | _named_by_connection(headers)
    passed = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers
        if name not in stopped and not name.startswith(OURS)
    ]
    return [*passed, ("accept-encoding", "identity")]


def brings_key(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the client says who pays."""
    return any(name.lower() in KEYS and value for name, value in headers)


def to_client(headers: Iterable[tuple[bytes, bytes]], *, same_length: bool = True) -> RawHeaders:
    """The teacher's headers as the client gets them; only the marker of a simulation is ours."""
    headers = [(name.lower(), value) for name, value in headers]
    stopped = HOP_BY_HOP | _named_by_connection(headers)
    if not same_length:
        stopped |= {b"content-length"}
    return [
        (name, value)
        for name, value in headers
        if name not in stopped and (name == SIMULATED or not name.startswith(OURS))
    ]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    return frozenset(
        part.strip().lower()
        for name, value in headers
        if name == b"connection"
        for part in value.split(b",")
    )

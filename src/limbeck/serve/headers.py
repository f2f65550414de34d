"""Which headers pass through the gateway, in both directions; the rest keep bytes and order."""

from __future__ import annotations

from functools import lru_cache

from limbeck.serve.http.message import RawHeaders, find

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
REPLACED = frozenset({b"host", b"content-length", b"expect"})
KEYS = frozenset({b"authorization", b"x-api-key"})
PLAIN = (b"accept-encoding", b"identity")


def to_teacher(headers: RawHeaders, *, read: bool) -> RawHeaders:
    """The client's headers as the teacher gets them.

    Where the reply is to be `read` on its way, `accept-encoding` asks for one that can be.
    """
    passed = [line for line in headers if _passes_up(line[0])]
    if read:
        passed = [line for line in passed if line[0].lower() != PLAIN[0]]
        passed.append(PLAIN)
    return _without_named(headers, passed)


def brings_key(headers: RawHeaders) -> bool:
    """Whether the client says who pays."""
    return any(value and name.lower() in KEYS for name, value in headers)


def to_client(headers: RawHeaders, *, keep_length: bool = True) -> RawHeaders:
    """The teacher's headers as the client gets them; only the marker of a simulation is ours."""
    passed = [line for line in headers if _passes_down(line[0])]
    if not keep_length:
        passed = [line for line in passed if line[0].lower() != b"content-length"]
    return _without_named(headers, passed)


# Names repeat from call to call, so that what each means is looked up once.
@lru_cache(maxsize=1024)
def _passes_up(name: bytes) -> bool:
    name = name.lower()
    return name not in HOP_BY_HOP and name not in REPLACED and not name.startswith(OURS)


@lru_cache(maxsize=1024)
def _passes_down(name: bytes) -> bool:
    name = name.lower()
    return name not in HOP_BY_HOP and (name == SIMULATED or not name.startswith(OURS))


def _without_named(headers: RawHeaders, passed: RawHeaders) -> RawHeaders:
    """`passed` without what a `connection` header names as its own."""
    value = find(headers, b"connection")
    if value is None or value.lower() in (b"keep-alive", b"close"):
        return passed
    every = [value for name, value in headers if name.lower() == b"connection"]
    named = {part.strip().lower() for value in every for part in value.split(b",")}
    return [line for line in passed if line[0].lower() not in named]

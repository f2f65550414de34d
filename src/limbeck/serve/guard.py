"""Only programs on this machine: a web page in a browser must not reach a gateway on loopback.

The address alone is no protection: a page may send requests to loopback, and a name of its own may be
made to resolve there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from limbeck.serve.http.message import Request
from limbeck.serve.settings import is_loopback


def foreign(request: Request) -> str | None:
    """Why a request to loopback comes from a foreign page, or under a foreign name; None if not so."""
    for name in (b"host", b"origin"):
        value = request.header(name)
        if value is not None and not _is_local(value):
            return (
                f"header {name.decode()} is {value.decode('latin-1')!r}; "
                "wanted this machine, as in http://127.0.0.1"
            )
    return None


def _is_local(value: bytes) -> bool:
    known = _KNOWN.get(value)
    if known is None:
        known = _read(value.decode("latin-1"))
        if len(_KNOWN) < 1024:
            _KNOWN[value] = known
    return known


_KNOWN: dict[bytes, bool] = {}


def _read(value: str) -> bool:
    try:
        host = urlsplit(value if "//" in value else f"//{value}").hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)

"""What the target of a request says: which task or upstream, and what the teacher is asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

LONGEST_KNOWN = 256
"""Bytes of a path that is remembered."""


class Route(NamedTuple):
    """`path` and `query`, with its mark, are as the teacher gets them; `task` and `upstream` stood in
    front of them."""

    path: bytes
    query: bytes
    task: str | None = None
    upstream: str | None = None

    @classmethod
    def of(cls, target: bytes) -> Route:
        """The route of a request target, in origin form or absolute form (RFC 9112, 3.2)."""
        if not target.startswith(b"/"):
            _, _, rest = target.partition(b"://")
            target = b"/" + rest.partition(b"/")[2]
        path, mark, query = target.partition(b"?")
        read = _read if len(path) <= LONGEST_KNOWN else _read.__wrapped__
        path, task, upstream = read(path)
        return cls(path, mark + query, task, upstream)

    @property
    def climbs(self) -> bool:
        """Whether the path leads out of the place that the upstream's base URL names."""
        parts = unquote_to_bytes(self.path).replace(b"\\", b"/").split(b"/")
        return b".." in parts


# A client calls few paths, and each of them often.
@lru_cache(maxsize=1024)
def _read(path: bytes) -> tuple[bytes, str | None, str | None]:
    task = upstream = None
    while path[:3] in (b"/t/", b"/u/"):
        name, slash, rest = path[3:].partition(b"/")
        if not slash:
            break
        read = unquote_to_bytes(name).decode("utf-8", "replace")
        if path[1:2] == b"t":
            task = read
        else:
            upstream = read
        path = b"/" + rest
    return path, task, upstream

"""What the target of a request says: which task or upstream, and what the teacher is asked for."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes


class Route(NamedTuple):
    """`path` is as the teacher gets it; `task` and `upstream` stood in front of it."""

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
        path, _, query = target.partition(b"?")
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
        return cls(path, query, task, upstream)

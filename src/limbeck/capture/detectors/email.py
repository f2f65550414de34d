"""E-mail addresses, also in other alphabets, and user:password before a host in a URL.

Misses addresses that are spelled out ("bob at example dot com"), quoted local parts and hosts
without a dot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_LONGEST_LOCAL = 64
"""Characters before the @, RFC 5321, section 4.5.3.1.1."""
_INSIDE_LOCAL = frozenset("._%+-~&'!#$")

_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]{1,59}|[^\W\d_]{2,63})"
    r"|\[\d{1,3}(?:\.\d{1,3}){3}\]",
    re.IGNORECASE,
)
_FILE = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|ico|css|js|json|txt|pdf)\Z", re.IGNORECASE)
"""`logo@2x.png` is a file and no address; none of these is a top-level domain."""


def find(text: str) -> Iterator[tuple[int, int]]:
    """Found by its @, so that a long text without one costs nothing."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None and not _FILE.search(domain[0]):
            start = _local(text, at)
            if start < at:
                yield start, domain.end()
        at = text.find("@", at + 1)


def _local(text: str, at: int) -> int:
    """Where the part before the @ begins."""
    start = at
    while start > max(0, at - _LONGEST_LOCAL) and (
        text[start - 1].isalnum() or text[start - 1] in _INSIDE_LOCAL
    ):
        start -= 1
    while start < at and not text[start].isalnum() and text[start] != "_":
        start += 1
    return start

"""Bodies as they can be read: unpacked, and as JSON."""

from __future__ import annotations

import json
import zlib
from typing import Any

from pydantic_core import from_json

from limbeck.serve.http.message import RawHeaders

# 32 + 15 bits: zlib tells gzip and deflate apart by their first bytes.
_EITHER = 47
LONGEST = 256 * 1024 * 1024
"""Bytes that a piece may unpack to: a few packed ones can mean any number."""


def packing(value: bytes | None) -> str | None:
    """How a body with that `content-encoding` is compressed, or None where it is not."""
    return value.decode("latin-1").lower() if value not in (None, b"", b"identity") else None


def unpacked(body: bytes, how: str | None) -> bytes:
    """`body` as it was before a server compressed it, asked or not.

    Raises ValueError where it cannot be read.
    """
    if how is None:
        return body
    try:
        return Unpacker(how).feed(body)
    except zlib.error as error:
        raise ValueError(f"the body is not {how}: {error}") from None


class Unpacker:
    """Unpacks a body as it comes. Raises ValueError for what it does not know."""

    def __init__(self, how: str) -> None:
        if how not in ("gzip", "deflate"):
            raise ValueError(f"content-encoding is {how!r}; wanted gzip or deflate")
        self._stream = zlib.decompressobj(_EITHER)

    def feed(self, chunk: bytes) -> bytes:
        """What `chunk` adds. Raises zlib.error."""
        plain = self._stream.decompress(chunk, LONGEST)
        if self._stream.unconsumed_tail:
            raise zlib.error(f"unpacked it is longer than {LONGEST:,} bytes")
        return plain


def read_json(data: bytes) -> Any:
    """What `data` says. Raises ValueError and RecursionError where it is not JSON."""
    try:
        return from_json(data)
    except ValueError:
        # Slower, and the last word: it knows other encodings and lone surrogates.
        return json.loads(data)


def without_packing(headers: RawHeaders) -> RawHeaders:
    """`headers` of a body that is no longer compressed."""
    return [line for line in headers if line[0].lower() != b"content-encoding"]


def unpacker_of(how: str | None) -> Unpacker | None:
    """What makes a body that is compressed so readable, where that can be."""
    try:
        return Unpacker(how) if how is not None else None
    except ValueError:
        return None

"""The frames of a stream of events, with their bytes: read, left alone or written anew.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import json
import re
from typing import Any

# Atomic: a carriage return with its newline is one line end, never two.
_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_END = 4
_DATA = re.compile(rb"(?:\A|(?<=[\r\n]))data:([^\r\n]*)(\r\n|\n|\r|\Z)")

MOST_PENDING = 16 << 20
"""Bytes without the end of a frame, after which a stream is no longer taken for one of events."""


class Frames:
    """Collects frames from chunks of bytes that may be split anywhere."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that `chunk` completes, each with the blank line that ends it."""
        searched = max(0, len(self._pending) - _LONGEST_END)
        self._pending += chunk
        frames = []
        start = 0
        for end in _END.finditer(self._pending, searched):
            frames.append(bytes(self._pending[start : end.end()]))
            start = end.end()
        del self._pending[:start]
        return frames

    @property
    def overflowing(self) -> bool:
        """No frame has ended for so long that these are none."""
        return len(self._pending) > MOST_PENDING

    def close(self) -> bytes:
        """What stands after the last whole frame."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest


def read_data(frame: bytes) -> dict[str, Any] | None:
    """The JSON object in a frame; None where there is none."""
    lines = [found[1] for found in _DATA.finditer(frame)]
    if not lines:
        return None
    try:
        data = json.loads(b"\n".join(lines).decode())
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def with_data(frame: bytes, data: dict[str, Any]) -> bytes:
    """The same frame with other data; its other lines keep their bytes."""
    written = b"data: " + json.dumps(data, separators=(",", ":")).encode()
    first = True

    def put(found: re.Match[bytes]) -> bytes:
        nonlocal first
        line = written + found[2] if first else b""
        first = False
        return line

    return _DATA.sub(put, frame)

"""Server-sent events: read from bytes that may be split anywhere, written one by one.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """A dispatched event: `name` is `message` where the stream gives none."""

    name: str
    data: str


class EventReader:
    """Collects events from chunks of bytes; only a blank line completes an event."""

    def __init__(self) -> None:
        self._pending = b""
        self._first_line = True
        self._skip_newline = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes, in order."""
        # A carriage return ends its line at once; if its newline comes with the next chunk, that
        # newline ends nothing.
        if self._skip_newline and chunk:
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        buffer = self._pending + chunk
        events = []
        start = 0
        for end in _LINE_END.finditer(buffer):
            event = self._line(buffer[start : end.start()])
            if event is not None:
                events.append(event)
            start = end.end()
        self._pending = buffer[start:]
        self._skip_newline = self._skip_newline or (not self._pending and buffer.endswith(b"\r"))
        return events

    def _line(self, line: bytes) -> Event | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event


def write_event(data: Any, name: str | None = None) -> bytes:
    """One event whose data is the JSON of `data`, or `data` itself where it is text."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {text}\n\n".encode()


def pieces(text: str, size: int = 24) -> Iterator[str]:
    """`text` in the order of its characters, `size` of them at a time."""
    for start in range(0, len(text), size):
        yield text[start : start + size]

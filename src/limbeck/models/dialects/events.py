"""Server-sent events: read from bytes that may be split anywhere, written one by one.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic_core import from_json

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """A dispatched event: `name` is `message` where the stream gives none."""

    name: str
    data: str


class EventReader:
    """Collects events from chunks of bytes; only a blank line completes an event."""

    def __init__(self) -> None:
        self._partial: list[bytes] = []
        self._first_line = True
        self._skip_newline = False
        self._name = "message"
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes, in order."""
        # A carriage return ends its line at once; if its newline comes with the next chunk, that
        # newline ends nothing.
        if self._skip_newline and chunk:
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_newline = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        # A line is put together once it is whole, so that a long one in small chunks costs no more
        # than its length.
        rest = lines.pop()
        if not lines:
            self._partial.append(rest)
            return []
        if self._partial:
            lines[0] = b"".join((*self._partial, lines[0]))
        self._partial = [rest] if rest else []
        if self._first_line:
            self._first_line = False
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        return self._events(lines)

    def _events(self, lines: list[bytes]) -> list[Event]:
        events = []
        for line in lines:
            if line[:6] == b"data: ":
                self._data.append(line[6:])
            elif not line:
                if self._data:
                    data = self._data
                    whole = data[0] if len(data) == 1 else b"\n".join(data)
                    events.append(Event(self._name, whole.decode("utf-8", "replace")))
                    self._data = []
                self._name = "message"
            elif line[:7] == b"event: ":
                self._name = line[7:].decode("utf-8", "replace") or "message"
            else:
                self._rare(line)
        return events

    def _rare(self, line: bytes) -> None:
        """A field without the usual space before its value; others say nothing to us."""
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace") or "message"


def read_json(data: str) -> Any:
    """The JSON in `data`. Raises ValueError where it is none, or too deep."""
    try:
        # Twice as fast as the standard library's; its cache would keep what people said.
        return from_json(data, cache_strings="keys")
    except ValueError:
        pass
    try:
        return json.loads(data)  # reads half of a surrogate pair, as some providers split them
    except RecursionError:
        raise ValueError("JSON is nested too deep") from None


def write_event(data: Any, name: str | None = None) -> bytes:
    """One event whose data is the JSON of `data`, or `data` itself where it is text."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {text}\n\n".encode()


def pieces(text: str, size: int = 24) -> Iterator[str]:
    """`text` in the order of its characters, `size` of them at a time."""
    for start in range(0, len(text), size):
        yield text[start : start + size]

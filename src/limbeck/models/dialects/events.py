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
        events: list[Event] = []
        for line in lines:
            if line.startswith(b"data: "):
                self._data.append(line[6:])
            elif not line:
                if self._data:
                    events.append(self._event())
                self._name = "message"
            elif line.startswith(b"event: "):
                self._name = _decoded(line[7:])
            else:
                self._rare(line)
        return events

    def _event(self) -> Event:
        data = self._data
        whole = data[0] if len(data) == 1 else b"\n".join(data)
        self._data = []
        return Event(self._name or "message", _decoded(whole))

    def _rare(self, line: bytes) -> None:
        """A field without the usual space before its value; others say nothing to us."""
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = _decoded(value)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


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


DONE = "[DONE]"
"""What ends a stream of Chat Completions, where others have an event."""


class Backlog:
    """The JSON of a stream's events, read many at a time: that costs half of reading each as it comes.

    Bytes wait until one of `ends` is among them, until they are many, or until `rest` is asked for.
    Once one of `ends` was among them every chunk is read as it comes, so that the end is seen in the
    chunk that completes it. An event is its JSON object, with the event's name as `type` where the
    object has none; `DONE`; or None where it cannot be read.
    """

    MANY = 65_536
    """Bytes of a stream that wait at most."""

    def __init__(self, *ends: bytes) -> None:
        self._ends = ends
        self._overlap = max(map(len, ends)) - 1
        self._reader = EventReader()
        self._held: list[bytes] = []
        self._size = 0
        self._seam = b""
        self._one_by_one = False

    def feed(self, chunk: bytes) -> list[Any]:
        """The events that are to be read now, in order."""
        if self._one_by_one:
            return self._slowly(chunk)
        # An end may be cut in two by the border of a chunk that ends within an event.
        window = self._seam + chunk if self._seam else chunk
        self._held.append(chunk)
        self._size += len(chunk)
        for end in self._ends:
            if end in window:
                self._one_by_one = True
                return self.rest()
        self._seam = b"" if chunk.endswith(b"\n\n") else window[-self._overlap :]
        return self.rest() if self._size > self.MANY else []

    def rest(self) -> list[Any]:
        """The events that have come and were not read yet."""
        data = b"".join(self._held)
        self._held, self._size = [], 0
        if not data:
            return []
        whole = data.rfind(b"\n\n") + 2
        # Without a blank line there is one long event, or lines that end otherwise.
        if whole < 2 or b"\r" in data:
            self._one_by_one = True
            whole = 0
        events = self._at_once(data[:whole]) if whole else []
        left = data[whole:]
        if self._one_by_one:
            return events + self._slowly(left)
        self._held.append(left)
        return events

    def _at_once(self, data: bytes) -> list[Any]:
        lines = data.split(b"\n")
        said = [line[6:] for line in lines if line.startswith(b"data: ")]
        ends = [DONE] if said[-1:] == [b"[DONE]"] else []
        # The usual case: every event has one line of data. What follows the last is empty, too.
        named = b"event:" in data
        if len(said) == lines.count(b"") - 1:
            try:
                events: list[Any] = from_json(
                    b"[%b]" % b",".join(said[:-1] if ends else said), cache_strings="keys"
                )
            except ValueError:
                events = []
            if len(events) + len(ends) == len(said) and all(
                type(one) is dict and ("type" in one or not named) for one in events
            ):
                return events + ends
        return self._slowly(data)

    def _slowly(self, data: bytes) -> list[Any]:
        return [_object(event) for event in self._reader.feed(data)]


def _object(event: Event) -> Any:
    if event.data.startswith(DONE):
        return DONE
    try:
        data = read_json(event.data)
    except ValueError:
        return None
    if not isinstance(data, dict):
        data = {}
    return data if event.name == "message" else {"type": event.name, **data}


def write_event(data: Any, name: str | None = None) -> bytes:
    """One event whose data is the JSON of `data`, or `data` itself where it is text."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {text}\n\n".encode()


def pieces(text: str, size: int = 24) -> Iterator[str]:
    """`text` in the order of its characters, `size` of them at a time."""
    for start in range(0, len(text), size):
        yield text[start : start + size]

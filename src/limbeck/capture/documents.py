"""Rows of one large JSON document, read piece by piece: an array, or a list within an object.

A tool's export is often a single array, or a page of an API such as `{"data": [...]}`. Only one
element is in memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

from limbeck.capture.jsonl import LONGEST_LINE, BadLineError, Row

ENVELOPES = ("data", "inferences", "observations", "spans", "resourceSpans", "resourceLogs")
"""The keys under which exports keep their rows."""
REWRAPPED = ("resourceSpans", "resourceLogs")
"""Of these the key belongs to the row, because it says what the element is."""
PIECE = 2**18
"""Bytes read at a time."""
_LOOK_AHEAD = 16
"""Characters: a mistake this near to the end may be a token that has not come whole."""


class Stream(Protocol):
    """Text of a file in pieces; empty at the end."""

    def read(self, size: int) -> str: ...

    @property
    def position(self) -> int: ...


def read_document(stream: Stream) -> Iterator[Row]:
    """The elements of the array, or of the object's list, with the line on which each begins.

    An object without such a list is one row. Raises BadLineError.
    """
    scanner = _Scanner(stream)
    if scanner.peek() == "[":
        yield from _elements(scanner, None)
    else:
        yield from _members(scanner)
    if scanner.peek():
        raise BadLineError("something follows the end of the JSON; wanted nothing", scanner.line)


def _members(scanner: _Scanner) -> Iterator[Row]:
    line = scanner.line
    members: dict[str, Any] = {}
    rows = 0
    scanner.take("{")
    while scanner.peek() != "}":
        if members or rows:
            scanner.take(",")
        key = scanner.value()
        if not isinstance(key, str):
            raise BadLineError(f"{str(key)[:60]!r} is no key; wanted a text", scanner.line)
        scanner.take(":")
        if key in ENVELOPES and scanner.peek() == "[":
            for row in _elements(scanner, key):
                rows += 1
                yield row
            members.setdefault(key, [])
        else:
            members[key] = scanner.value()
    scanner.take("}")
    if not rows and not any(key in members for key in ENVELOPES):
        yield Row(line=line, values=members, position=scanner.position)


def _elements(scanner: _Scanner, key: str | None) -> Iterator[Row]:
    scanner.take("[")
    first = True
    while scanner.peek() != "]":
        if not first:
            scanner.take(",")
            scanner.peek()
        first = False
        line, value = scanner.line, scanner.value()
        if not isinstance(value, dict):
            raise BadLineError(f"{str(value)[:60]!r} is no JSON object; wanted {{...}}", line)
        values = {key: [value]} if key in REWRAPPED else value
        yield Row(line=line, values=values, position=scanner.position)
    scanner.take("]")


class _Scanner:
    """A place in the text; knows its line, and holds no more than the value at that place."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._ended = False
        self._decode = json.JSONDecoder().raw_decode
        self.line = 1

    @property
    def position(self) -> int:
        return self._stream.position

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            start = self._at
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            self.line += self._text.count("\n", start, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(PIECE):
                return ""

    def take(self, wanted: str) -> None:
        found = self.peek()
        if found != wanted:
            raise BadLineError(
                f"broken JSON: {found or 'the end of the file'!r} where {wanted!r} was wanted; "
                f"correct the file or get it anew",
                self.line,
            )
        self._at += 1

    def value(self) -> Any:
        """The value that begins here. Raises BadLineError where there is none."""
        self.peek()
        size = PIECE
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # A wrong value far from the end stays wrong, whatever comes.
                open_string = error.msg.startswith("Unterminated string")
                hopeless = not open_string and error.pos < len(self._text) - _LOOK_AHEAD
                if hopeless or not self._more(size):
                    raise self._broken(error) from None
                size *= 2
                continue
            except (ValueError, RecursionError) as error:
                raise BadLineError(f"JSON that cannot be used ({error})", self.line) from None
            # A number at the very end may go on in the next piece.
            if end == len(self._text) and isinstance(value, int | float) and self._more(size):
                continue
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            return value

    def _broken(self, error: json.JSONDecodeError) -> BadLineError:
        line = self.line + self._text.count("\n", self._at, error.pos)
        if self._ended and error.pos >= len(self._text) - _LOOK_AHEAD:
            return BadLineError("the JSON breaks off; the file is incomplete; get it anew", line)
        return BadLineError(f"broken JSON: {error.msg}; correct the file or get it anew", line)

    def _more(self, size: int) -> bool:
        if self._ended:
            return False
        kept = self._text[self._at :]
        if len(kept) > LONGEST_LINE:
            raise BadLineError(
                f"one value is longer than {LONGEST_LINE:,} characters; wanted a list of objects",
                self.line,
            )
        piece = self._stream.read(size)
        self._ended = not piece
        self._text, self._at = kept + piece, 0
        return bool(piece)

"""A rationale as the property of a JSON object: found in the text as it comes, and taken out.

The text is scanned and never written anew: what stays keeps its bytes, its order and its spaces.
Source of the grammar: RFC 8259.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from limbeck.capture.elicit.cutter import MOST_HELD, MOST_UNDECIDED, WHITE, whole

_IN_STRING = re.compile(r'["\\]')
_STRUCTURE = re.compile(r'["{}\[\],]')
_BROKEN = object()


class FieldCutter:
    """Takes the property `field` out of the outermost object of a text that comes in pieces.

    A property of the same name further in stays. A text that is no object passes as it is.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._step: Callable[[str, int], int] = self._opening
        self._out: list[str] = []
        self._before = ""
        self._key = ""
        self._value: list[str] = []
        self._held = 0
        self._first = True
        self._skips_white = False
        self._escaped = False
        self._in_string = False
        self._depth = 0
        self._found: list[str] = []
        self.taken = 0
        self.passing = False

    @property
    def unclosed(self) -> bool:
        """A rationale has begun and has not ended."""
        return self._step == self._taking and not self.passing

    @property
    def rationale(self) -> str | None:
        """What was taken out; None where nothing was."""
        return whole(self._found)

    def feed(self, piece: str) -> str:
        """What `piece` adds to the text that the client sees."""
        if self.passing:
            return piece
        self._out = []
        at = 0
        while at < len(piece) and not self.passing:
            at = self._step(piece, at)
        return "".join(self._out) + piece[at:]

    def close(self, *, cut_off: bool) -> str:
        """What the end of the text adds to what the client sees.

        An object that never ended is of no use to anybody, whatever the reason, so that a rationale
        that never ended is taken out.
        """
        if self.passing:
            return ""
        unclosed = self.unclosed
        self.passing = True
        if not unclosed:
            return self._before + self._key
        raw = "".join(self._value)
        self.taken += len(raw)
        self._found.append(_begun(raw))
        return ""

    # ---- the steps: each reads from `at` and says where the next one begins ----------------------

    def _opening(self, piece: str, at: int) -> int:
        char = piece[at]
        if char == "{":
            self._step = self._between
        elif char not in WHITE:
            self.passing = True
            return at
        self._out.append(char)
        return at + 1

    def _between(self, piece: str, at: int) -> int:
        """Before a key: the comma and white space go with the key that follows."""
        char = piece[at]
        if char in WHITE and len(self._before) < MOST_UNDECIDED:
            self._before += "" if self._skips_white else char
        elif char == '"':
            self._key = char
            self._step = self._naming
        else:
            return self._pass(at)
        return at + 1

    def _naming(self, piece: str, at: int) -> int:
        end, closed = self._string_end(piece, at)
        self._key += piece[at:end]
        if not closed:
            return self._pass(end) if len(self._key) > MOST_UNDECIDED else end
        self._depth, self._in_string = 0, False
        if _parsed(self._key) == self._field:
            self._value, self._held = [], 0
            self._step = self._taking
        elif self._found:
            return self._pass(end)
        else:
            self._show_key()
            self._step = self._valuing
        return end

    def _valuing(self, piece: str, at: int) -> int:
        end, ended = self._value_end(piece, at)
        self._out.append(piece[at:end])
        return self._after_value(piece, end) if ended else end

    def _taking(self, piece: str, at: int) -> int:
        end, ended = self._value_end(piece, at)
        self._value.append(piece[at:end])
        self._held += end - at
        if not ended and self._held <= MOST_HELD:
            return end
        raw = "".join(self._value)
        value = _parsed(raw.lstrip(WHITE).removeprefix(":"))
        if not ended or value is _BROKEN:
            self._show_key()
            self._out.append(raw)
            self._step = self._valuing
            return self._after_value(piece, end) if ended else end
        return self._take(piece, end, raw, value)

    def _take(self, piece: str, end: int, raw: str, value: Any) -> int:
        self.taken += len(self._key) + len(raw)
        self._found.append(as_text(value))
        self._key = ""
        if piece[end] == "}":
            self._out.append(raw[len(raw.rstrip(WHITE)) :])
            self.passing = True
            return end
        if not self._first:
            # The comma before the property is dropped and the one after it stays.
            self.passing = True
            return end
        self._skips_white = True
        self._step = self._between
        return end + 1

    # ---- what the steps share --------------------------------------------------------------------

    def _after_value(self, piece: str, end: int) -> int:
        if piece[end] == "}":
            self.passing = True
            return end
        self._before, self._first = ",", False
        self._step = self._between
        return end + 1

    def _show_key(self) -> None:
        self._out.append(self._before + self._key)
        self._before = self._key = ""

    def _pass(self, at: int) -> int:
        self._show_key()
        self.passing = True
        return at

    def _string_end(self, piece: str, at: int) -> tuple[int, bool]:
        while at < len(piece):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = _IN_STRING.search(piece, at)
            if found is None:
                return len(piece), False
            at = found.end()
            if found[0] == '"':
                return at, True
            self._escaped = True
        return at, False

    def _value_end(self, piece: str, at: int) -> tuple[int, bool]:
        """Where the comma or brace stands that ends the value, and whether it has come."""
        while at < len(piece):
            if self._in_string:
                at, closed = self._string_end(piece, at)
                self._in_string = not closed
                continue
            found = _STRUCTURE.search(piece, at)
            if found is None:
                return len(piece), False
            char = found[0]
            if self._depth == 0 and char in ",}":
                return found.start(), True
            at = found.end()
            if char == '"':
                self._in_string = True
            else:
                self._depth = max(
                    0, self._depth + (1 if char in "{[" else -1 if char in "}]" else 0)
                )
        return at, False


def _parsed(raw: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _BROKEN


def as_text(value: Any) -> str:
    """The words of a rationale, whatever type the teacher gave it."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and all(isinstance(step, str) for step in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)


def _begun(raw: str) -> str:
    """The text of a string that was cut off, up to its last whole character."""
    start = raw.lstrip(WHITE).removeprefix(":").lstrip(WHITE)
    # The longest escape, a pair of surrogates, has 12 characters.
    for end in range(len(start), max(len(start) - 12, 0), -1):
        value = _parsed(start[:end] + '"')
        if isinstance(value, str):
            return value
    return ""

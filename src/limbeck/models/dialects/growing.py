"""A message of Chat Completions that grows with the deltas of a stream."""

from __future__ import annotations

from typing import Any

from limbeck.models.dialects.fields import mapping, sequence

NAMES = frozenset(("id", "type", "role", "name"))
"""Strings that name something: a server may repeat them, and never sends them in pieces."""


class GrowingMessage:
    """The message of one choice, as it grows."""

    __slots__ = ("fields", "finish", "pieces")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        # Pieces are kept apart until the end: adding strings costs the square of their length.
        self.pieces: dict[str, list[str]] = {}
        self.finish: str | None = None

    def grow(self, delta: dict[str, Any]) -> None:
        for field, value in delta.items():
            if isinstance(value, str) and field not in NAMES:
                said = self.pieces.get(field)
                if said is None:
                    self.pieces[field] = [value]
                else:
                    said.append(value)
            else:
                _merge(self.fields, field, value)

    def whole(self) -> dict[str, Any]:
        """The message as a reply without a stream would have it, as far as it has come."""
        message = self.fields | {field: "".join(said) for field, said in self.pieces.items()}
        calls = sequence(message.get("tool_calls"))
        if calls:
            # Only a stream numbers the calls.
            message["tool_calls"] = [
                {name: value for name, value in mapping(call).items() if name != "index"}
                for call in calls
            ]
        return message


def _merge(whole: dict[str, Any], field: str, value: Any) -> None:
    """Add what a delta says of `field` to what earlier ones said."""
    there = whole.get(field)
    if isinstance(value, dict):
        grown = dict(there) if isinstance(there, dict) else {}
        for name, part in value.items():
            _merge(grown, name, part)
        whole[field] = grown
    elif isinstance(value, list):
        whole[field] = _merged(list(there) if isinstance(there, list) else [], value)
    elif isinstance(value, str) and isinstance(there, str) and field not in NAMES:
        whole[field] = there + value
    elif value not in (None, "") or there is None:
        whole[field] = value


def _merged(whole: list[Any], more: list[Any]) -> list[Any]:
    """Entries of the same `index` are pieces of one; others are added."""
    for entry in more:
        index = mapping(entry).get("index")
        for at, there in enumerate(whole):
            if index is not None and mapping(there).get("index") == index:
                grown = dict(there)
                for name, part in entry.items():
                    _merge(grown, name, part)
                whole[at] = grown
                break
        else:
            whole.append(entry)
    return whole

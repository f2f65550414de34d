"""Texts with `{name}` places: matched against a text, and filled again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from limbeck.types import PLACE


@lru_cache(maxsize=1024)
def parse(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The constant pieces of `template`, and the names of the places between them (one fewer)."""
    pieces, names = [""], []
    end = 0
    for found in PLACE.finditer(template):
        pieces[-1] += template[end : found.start()]
        end = found.end()
        if found[1]:
            pieces[-1] += f"{{{found[1]}}}"
        else:
            names.append(found[2])
            pieces.append("")
    pieces[-1] += template[end:]
    return tuple(pieces), tuple(names)


def match(template: str, text: str) -> dict[str, str] | None:
    """The fields that make `template` into the whole of `text`, or None.

    Each field is as short as it can be, and a name that stands twice has the same text twice. White
    space at the ends of the text and of the template does not count. Linear in the text, whatever
    it holds.
    """
    pieces, names = _stripped(template)
    text = text.strip()
    first, last = pieces[0], pieces[-1]
    if not names:
        return {} if text == first else None
    at, end = len(first), len(text) - len(last)
    if end < at or not text.startswith(first) or not text.endswith(last):
        return None
    fields: dict[str, str] = {}
    # The leftmost place of each piece leaves the most room for the next: no way back is needed.
    for name, piece in zip(names[:-1], pieces[1:-1], strict=True):
        found = text.find(piece, at, end)
        if found < 0 or fields.setdefault(name, text[at:found]) != text[at:found]:
            return None
        at = found + len(piece)
    if fields.setdefault(names[-1], text[at:end]) != text[at:end]:
        return None
    return fields


def put(template: str, fields: Mapping[str, str]) -> str:
    """`template` with its places filled. Raises KeyError where a field is missing."""
    pieces, names = parse(template)
    filled = (piece + fields[name] for piece, name in zip(pieces, names, strict=False))
    return "".join(filled) + pieces[-1]


def escape(text: str) -> str:
    """`text` as it must stand in a template, so that nothing in it is a place."""
    return PLACE.sub(lambda found: f"{{{found[0]}}}", text)


@lru_cache(maxsize=1024)
def _stripped(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pieces, names = parse(template)
    if not names:
        return (pieces[0].strip(),), names
    return (pieces[0].lstrip(), *pieces[1:-1], pieces[-1].rstrip()), names

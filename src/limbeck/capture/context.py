"""What a call holds beside its system prompt and the text of its last user message."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from limbeck.models.call import Call
from limbeck.types import canonical_json

MEDIA_KEYS = ("data", "file_data", "b64_json")
SHORTEST_MEDIA = 128
"""Base64 shorter than this, in characters, stays where it is."""


class Context(NamedTuple):
    """The name of the blob with the context, and the blobs: itself and its media, by name."""

    name: str
    blobs: dict[str, bytes]


def context_of(call: Call) -> Context | None:
    """The turns around the last user message, and its content where that is not only text.

    None for a single question in text. The blob is canonical JSON: `earlier` and `later` are the
    messages as they stood, `last` the content of the last user message. Media in base64 become
    `{"blob": name}`, with the `prefix` of a data URL, so that an image is kept once.
    """
    if not (call.earlier or call.later or call.last):
        return None
    parts = {"earlier": list(call.earlier), "later": list(call.later), "last": call.last}
    there = {name: part for name, part in parts.items() if part}
    blobs: dict[str, bytes] = {}
    content = _json(_without_media(there, blobs)).encode("utf-8", "surrogatepass")
    name = _name(content)
    return Context(name, {**blobs, name: content})


def read_context(data: bytes, blob: Callable[[str], bytes | None]) -> dict[str, Any]:
    """The context that a blob keeps, with its media in their places again.

    Raises KeyError, with the name, for media that are not there.
    """
    read = _with_media(json.loads(data.decode("utf-8", "surrogatepass")), blob)
    assert isinstance(read, dict)
    return read


def _without_media(value: Any, blobs: dict[str, bytes]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _medium(key, one, blobs) if isinstance(one, str) else _without_media(one, blobs)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_without_media(one, blobs) for one in value]
    return value


def _medium(key: str, text: str, blobs: dict[str, bytes]) -> Any:
    if len(text) < SHORTEST_MEDIA:
        return text
    prefix = ""
    if text.startswith("data:"):
        comma = text.find(",", 0, 256)
        if not text[: comma + 1].endswith(";base64,"):
            return text
        prefix, text = text[: comma + 1], text[comma + 1 :]
    elif key not in MEDIA_KEYS:
        return text
    data = _decoded(text)
    if data is None:
        return prefix + text
    name = _name(data)
    blobs[name] = data
    return {"blob": name, "prefix": prefix} if prefix else {"blob": name}


def _decoded(text: str) -> bytes | None:
    """The bytes that `text` stands for, where it is what base64 makes of them, to the letter."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Only the last group can be written in more than one way.
    rest = data[(len(data) - 1) // 3 * 3 :]
    return data if text.endswith(base64.b64encode(rest).decode("ascii")) else None


def _with_media(value: Any, blob: Callable[[str], bytes | None]) -> Any:
    if isinstance(value, list):
        return [_with_media(one, blob) for one in value]
    if not isinstance(value, dict):
        return value
    name = value.get("blob")
    if isinstance(name, str) and value.keys() <= {"blob", "prefix"}:
        data = blob(name)
        if data is None:
            raise KeyError(name)
        return value.get("prefix", "") + base64.b64encode(data).decode("ascii")
    return {key: _with_media(one, blob) for key, one in value.items()}


def _json(value: Any) -> str:
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        # A number that JSON does not have must not cost the call.
        return json.dumps(value, ensure_ascii=False, default=repr)


def _name(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"

"""Which requests of a client are calls of a model: by the end of their path.

Clouds put the model into the path of a Messages request and leave it out of the body. Sources: the
clients `AnthropicBedrock` and `AnthropicVertex` of the official package; `AzureOpenAI` of OpenAI's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from limbeck.models.dialects.table import TABLE, dialect

_VERTEX = re.compile(r"/models/(?P<model>[^/]+):(?:streamRawPredict|rawPredict)$")
_BEDROCK = re.compile(r"/model/(?P<model>[^/]+)/invoke(?:-with-response-stream)?$")
_NO_CALLS = ("count-tokens",)


class Place(NamedTuple):
    """The dialect of a call, and the model where the path names it."""

    dialect: str
    model: str | None = None


def place_of(method: str, path: str) -> Place | None:
    """The place of a call; None for a request that is none."""
    if method.upper() != "POST":
        return None
    for ending, name in _endings():
        if path.endswith(ending):
            return Place(name)
    found = _VERTEX.search(path) or _BEDROCK.search(path)
    if found is None or found["model"] in _NO_CALLS:
        return None
    return Place("anthropic", unquote(found["model"]))


def body_of(place: Place, content: bytes) -> dict[str, Any] | None:
    """The JSON object of a request, with its model; None where it is none."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if not isinstance(body, Mapping):
        return None
    return {**body, "model": place.model} if place.model else dict(body)


def written(place: Place, body: Mapping[str, Any]) -> bytes:
    """The JSON of a request; the reverse of `body_of`."""
    sent = {key: value for key, value in body.items() if key != "model" or not place.model}
    return json.dumps(sent, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


@cache
def _endings() -> tuple[tuple[str, str], ...]:
    known = {name: dialect(name) for name in TABLE}
    return tuple((one.PATH.removeprefix(one.BASE_PATH), name) for name, one in known.items())

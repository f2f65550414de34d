"""What every noun is: a frozen value whose name is the hash of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

SCHEMA = 2
"""Version of the noun layout; part of what is hashed. Since 2, what has its default value is left out
of the hash, so that a noun may gain a field and every older one keeps its name."""


class Noun(BaseModel):
    """A frozen value; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with `update` applied; what was derived from the old content is derived anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in [key for key in vars(copied) if key not in type(self).model_fields]:
            del vars(copied)[name]
        return copied


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, byte for byte."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(value: Any) -> str:
    """`sha256:` and the hex digest of the canonical JSON of `value`."""
    return text_hash(canonical_json(value))


def text_hash(text: str) -> str:
    """`sha256:` and the hex digest of `text` in UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"

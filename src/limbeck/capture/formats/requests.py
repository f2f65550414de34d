"""The requests that a batch's results answer: found by name, without holding them in memory."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from limbeck.capture.jsonl import BadLineError, at_line, read_rows
from limbeck.models.dialects.fields import mapping
from limbeck.types import canonical_json


class Requests:
    """The bodies of a file of requests (JSON Lines, plain or gzip) by `custom_id` or `id`.

    What is in memory is where each stands in a copy; the body itself is OpenAI's `body` or
    Anthropic's `params`, or the row where it has `messages`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        self._places: dict[str, int] = {}
        try:
            for row in read_rows(path):
                with at_line(row.line):
                    name, body = _named(row.values)
                self._places[name] = self._copy.tell()
                self._copy.write(canonical_json(body).encode("utf-8", "surrogatepass") + b"\n")
        except BaseException:
            self._copy.close()
            raise

    def body(self, name: str | None) -> dict[str, Any] | None:
        """The request of that name, or None."""
        place = self._places.get(name or "")
        if place is None:
            return None
        self._copy.seek(place)
        line = self._copy.readline().decode("utf-8", "surrogatepass")
        return mapping(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._copy.close()


def _named(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = row.get("custom_id", row.get("id"))
    body = row.get("body", row.get("params", row if "messages" in row else None))
    if not isinstance(name, str) or not isinstance(body, dict):
        raise BadLineError(
            f"the row has the keys {sorted(row)!r}; wanted custom_id and body (OpenAI), custom_id "
            f"and params (Anthropic), or id and messages"
        )
    return name, body

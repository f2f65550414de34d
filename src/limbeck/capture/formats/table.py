"""Which formats there are: a table from name to module, imported on use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from limbeck.capture.formats.imported import Imported, Sign, Skipped
from limbeck.capture.formats.requests import Requests
from limbeck.errors import ConfigError, DataError

AUTO = "auto"
ROWS = "rows"
"""Rows under the mapping of a task file, which the importer reads itself."""
TABLE: dict[str, str] = {
    "messages": "limbeck.capture.formats.messages",
    "prompt_completion": "limbeck.capture.formats.prompt_completion",
    "openai_stored": "limbeck.capture.formats.openai_stored",
    "openai_batch": "limbeck.capture.formats.openai_batch",
    "anthropic_batch": "limbeck.capture.formats.anthropic_batch",
    "langfuse": "limbeck.capture.formats.langfuse",
    "openinference": "limbeck.capture.formats.openinference",
    "litellm": "limbeck.capture.formats.litellm",
    "tensorzero": "limbeck.capture.formats.tensorzero",
    "otlp": "limbeck.capture.formats.otlp",
}
NAMES = (AUTO, ROWS, *TABLE)


class Format(Protocol):
    """What a module of the table offers; both functions are pure."""

    NEEDS_REQUESTS: bool
    """The rows are replies alone; what was asked stands in the file of requests."""

    def recognise(self, row: Mapping[str, Any]) -> Sign | None: ...

    def read(
        self, row: Mapping[str, Any], requests: Requests | None
    ) -> Iterator[Imported | Skipped]: ...


class Recognised(NamedTuple):
    """The format of some rows, and why; `why` is empty where nothing speaks for it."""

    name: str
    why: str


@cache
def format_of(name: str) -> Format:
    """The format called `name`. Raises ConfigError where there is none."""
    if name not in TABLE:
        raise ConfigError(f"the format is {name!r}; wanted one of {', '.join(NAMES)}")
    return cast(Format, import_module(TABLE[name]))


def unwrapped(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a page of an API that stands on one line; any other row is one."""
    page = values.get("data", values.get("inferences"))
    beside = {"object", "meta", "next_cursor", "has_more", "first_id", "last_id"}
    of_rows = isinstance(page, list) and all(isinstance(row, dict) for row in page)
    if of_rows and set(values) - {"data", "inferences"} <= beside:
        return list(page or ())
    return [values]


def recognise(rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    """The format that most of the rows look like, or None where none does.

    Raises DataError where two are as likely.
    """
    found: list[tuple[float, Recognised]] = []
    for name in TABLE:
        signs = [sign for row in rows if (sign := format_of(name).recognise(row))]
        if signs:
            weight = sum(sign.weight for sign in signs) / len(rows)
            share = "" if len(signs) == len(rows) else f" ({len(signs)} of {len(rows)} rows)"
            found.append((weight, Recognised(name, signs[0].why + share)))
    if not found:
        return None
    best = max(weight for weight, _ in found)
    # Shares are quotients of small numbers, so that equal ones may differ in the last digit.
    candidates = [one for weight, one in found if weight > best - 1e-9]
    if len(candidates) > 1:
        said = " and ".join(f"{one.name!r} ({one.why})" for one in candidates)
        raise DataError(f"the rows look as much like {said}; name one with --format")
    return candidates[0]

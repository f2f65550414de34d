"""What options were given: `--set key=value` over `limbeck.toml`, and times."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from limbeck.errors import ConfigError, UsageError
from limbeck.types import Noun
from limbeck.workspace import FILE, Workspace, read_values

Settings = TypeVar("Settings", bound=Noun)

_SPAN = re.compile(r"(\d{1,6})([hdwy])", re.ASCII)
_HOURS = {"h": 1, "d": 24, "w": 168, "y": 8760}


def read_pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`key=value` texts by key; the last of a key wins. Raises UsageError on another shape."""
    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} got {text!r}; wanted key=value, such as steps=400")
        pairs[key.strip()] = value.strip()
    return pairs


def settle(
    model: type[Settings], workspace: Workspace, section: str, given: Sequence[str]
) -> Settings:
    """The defaults, the section of `limbeck.toml` over them, and `--set` over both.

    Raises ConfigError for the file and UsageError for the command line, naming the key.
    """
    written: dict[str, Any] = getattr(workspace.settings, section)
    read_values(model, written, workspace.root / FILE, section)
    pairs = read_pairs("--set", given)
    merged = {**written, **pairs}
    try:
        return read_values(model, merged, Path("--set"))
    except ConfigError as error:
        raise UsageError(str(error)) from None


def closest(name: str, names: Sequence[str]) -> str:
    """A hint at the name that was probably meant, or nothing."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read_span(option: str, text: str) -> timedelta:
    """`12h`, `90d`, `8w` or `1y`. Raises UsageError on another shape."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{option} is {text!r}; wanted a time such as 12h, 90d, 8w or 1y")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def read_time(option: str, text: str, now: datetime) -> datetime:
    """A date, a time in ISO 8601 (in this machine's zone, where it names none), or a span before
    `now`. Raises UsageError on another shape."""
    if _SPAN.fullmatch(text.strip()):
        return now - read_span(option, text)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        raise UsageError(
            f"{option} is {text!r}; wanted a date such as 2026-01-31, a time, or an age such as 30d"
        ) from None

"""`--set key=value`: settings from the command line over those of `limbeck.toml`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from limbeck.errors import ConfigError, UsageError
from limbeck.types import Noun
from limbeck.workspace import FILE, Workspace, read_values

Settings = TypeVar("Settings", bound=Noun)


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

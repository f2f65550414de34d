"""Which key of a row feeds what: `teacher.0.raw`, and templates such as `{question} {choices}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from limbeck.capture.jsonl import BadLineError
from limbeck.types import canonical_json

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def look_up(values: Mapping[str, Any], place: str) -> Any:
    """What stands at `place`; dots and indexes walk in. None where the walk ends in a null or
    behind the end of a list. A trailing `?` allows the key to be absent.

    Raises BadLineError, with the keys that are there, where a key is absent.
    """
    wanted, optional = place.removesuffix("?"), place.endswith("?")
    found: Any = values
    walked: list[str] = []
    for step in wanted.split("."):
        if found is None:
            return None
        if isinstance(found, list) and step.isdigit():
            found = found[int(step)] if int(step) < len(found) else None
        elif isinstance(found, Mapping) and step in found:
            found = found[step]
        elif optional:
            return None
        else:
            raise BadLineError(_absent(found, wanted, step, walked))
        walked.append(step)
    return found


def as_text(value: Any) -> str | None:
    """A scalar as text; a list or object as its JSON; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return canonical_json(value)


def as_texts(value: Any, place: str) -> tuple[str, ...]:
    """A list of scalars as texts. Raises BadLineError for anything else."""
    if value is None:
        return ()
    if not isinstance(value, list) or any(isinstance(one, list | dict) for one in value):
        raise BadLineError(f"the key {place!r} is {_short(value)}; wanted a list of texts")
    return tuple(as_text(one) or "" for one in value)


def fill(template: str, values: Mapping[str, Any], join: str) -> str | None:
    """The template with its `{key}` places filled, lists joined by `join`; None where any place is
    empty. A template without braces is one key. `{{` and `}}` are braces."""
    if "{" not in template:
        return as_text(look_up(values, template))
    empty = False

    def put(found: re.Match[str]) -> str:
        nonlocal empty
        if found[1] is None:
            return found[0][0]
        value = look_up(values, found[1])
        text = join.join(as_texts(value, found[1])) if isinstance(value, list) else as_text(value)
        empty = empty or text is None
        return text or ""

    filled = _PLACE.sub(put, template)
    return None if empty else filled


def _absent(found: Any, wanted: str, step: str, walked: list[str]) -> str:
    where = f" of {'.'.join(walked)!r}" if walked else ""
    if isinstance(found, Mapping):
        keys = ", ".join(map(str, found)) or "none"
        there = f"the keys{where} are: {keys}"
    elif isinstance(found, list):
        there = f"the value{where} is a list; wanted an index such as 0 instead of {step!r}"
    else:
        there = f"the value{where} is {_short(found)}, which has no keys"
    return (
        f"the key {wanted!r} is missing; {there}; correct [rows] in the task file or give --map; "
        f"where only some rows have it, write '{wanted}?'"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

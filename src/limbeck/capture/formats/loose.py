"""Reading what exports write in several ways: times, numbers, JSON in a text, names in two cases."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from limbeck.types import Usage


def first(values: Mapping[str, Any], *names: str) -> Any:
    """What stands under the first of `names` that is there and not None."""
    return next((values[name] for name in names if values.get(name) is not None), None)


def loaded(value: Any) -> Any:
    """`value`, read as JSON where it is the text of an object or array (CSV cells, span attributes)."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def words(value: Any) -> str | None:
    """A scalar as text, None for anything else and for an empty text."""
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return None
    return str(value) or None


def number(value: Any) -> float | None:
    """A finite number, also from its text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def tokens(value: Any) -> int:
    """A count of tokens, also from its text; 0 where there is none."""
    return max(int(number(value) or 0), 0)


def moment(value: Any) -> datetime | None:
    """A time from ISO 8601, from `2026-01-31 08:00:00.000`, or from a Unix time in any unit.

    A time without a zone is UTC, as the exports have it.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date) or value is None:
        return None
    seconds = number(value)
    if seconds is not None:
        while seconds > 1e11:  # seconds stay below this until the year 5138
            seconds /= 1000
        return datetime.fromtimestamp(round(seconds, 6), UTC) if seconds > 0 else None
    try:
        read = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or end < start:
        return None
    return round((end - start) / timedelta(seconds=1), 6)


def usage_of(read: int, written: int, cached: int = 0, **more: Any) -> Usage | None:
    """The counts, or None where there are none."""
    if not read and not written:
        return None
    return Usage(input=read, output=written, cached=min(cached, read), **more)


def nested(values: Any) -> Any:
    """`{"a.0.b": 1}` as `{"a": [{"b": 1}]}`, at every depth: dotted names become objects and lists."""
    if isinstance(values, list | tuple):
        return [nested(value) for value in values]
    if not isinstance(values, Mapping):
        return values
    tree: dict[str, Any] = {}
    for name, value in values.items():
        put = nested(value)
        if put is None:
            continue
        *folders, last = str(name).split(".")
        place = tree
        for folder in folders:
            deeper = place.setdefault(folder, {})
            if not isinstance(deeper, dict):
                break
            place = deeper
        else:
            both = isinstance(place.get(last), dict) and isinstance(put, dict)
            place[last] = {**place[last], **put} if both else put
    return _lists(tree)


def _lists(tree: dict[str, Any]) -> Any:
    kept = {key: _lists(value) if isinstance(value, dict) else value for key, value in tree.items()}
    if kept and all(key.isdigit() for key in kept):
        return [kept[key] for key in sorted(kept, key=int)]
    return kept

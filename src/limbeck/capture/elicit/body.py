"""A request or reply body, read and changed without touching the original."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from limbeck.models.dialects.fields import count

Path = tuple[str | int, ...]

LEAST_LIMIT = 16
"""Tokens. A client that sets a lower limit cuts its answer with it, and would see more than before."""


def found(body: Any, path: Path) -> Any:
    """What stands at `path`; None where nothing does."""
    for step in path:
        named = isinstance(body, dict) and step in body
        counted = isinstance(body, list) and isinstance(step, int) and 0 <= step < len(body)
        if not (named or counted):
            return None
        body = body[step]
    return body


def replaced(body: Any, path: Path, value: Any) -> Any:
    """A copy of `body` in which `value` stands at `path`, which is there already."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    copy[step] = replaced(body[step], rest, value)
    return copy


def mentions(body: Any, word: str) -> bool:
    """Whether `word` stands in any text of `body`."""
    left = [body]
    while left:
        value = left.pop()
        if isinstance(value, str) and word in value:
            return True
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return False


def raised(body: dict[str, Any], limits: Iterable[str], extra: int) -> dict[str, Any]:
    """`body` with `extra` tokens more under each limit that it sets."""
    more = {name: count(body[name]) + extra for name in limits if count(body.get(name))}
    return {**body, **more}


def small_limit(body: dict[str, Any], limits: Iterable[str]) -> int | None:
    """The limit of `body` that is too small to be raised unseen."""
    there = [count(body[name]) for name in limits if count(body.get(name))]
    return min((limit for limit in there if limit < LEAST_LIMIT), default=None)

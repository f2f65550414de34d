"""What the calls inside a `with` block belong to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

TASK_HEADER = "x-limbeck-task"
KEY_HEADER = "x-limbeck-key"
SUBJECT_HEADER = "x-limbeck-subject"


class Scope(NamedTuple):
    """The caller's own name for the call, whom it is about, and the task that it belongs to."""

    correlation: str | None = None
    subject: str | None = None
    task: str | None = None


NO_SCOPE = Scope()
_scope: ContextVar[Scope] = ContextVar("limbeck_scope", default=NO_SCOPE)


def current_scope() -> Scope:
    """The scope of the innermost `with` blocks around the caller."""
    return _scope.get()


@contextlib.contextmanager
def correlate(key: str, subject: str | None = None) -> Iterator[None]:
    """Give the calls inside the caller's own name, by which an outcome finds them later.

    `subject` names the person or customer that they are about: what a deletion request names. Each
    asyncio task has the scope in which it was made; a new thread starts without one (run it in
    `contextvars.copy_context()`). Raises ValueError for a key that no header can carry.
    """
    scope = current_scope()
    _require_header("key", key)
    if subject is not None:
        _require_header("subject", subject)
    with _within(scope._replace(correlation=key, subject=subject or scope.subject)):
        yield


@contextlib.contextmanager
def task(name: str) -> Iterator[None]:
    """Give the calls inside to the task of that name."""
    _require_header("task", name)
    with _within(current_scope()._replace(task=name)):
        yield


@contextlib.contextmanager
def _within(scope: Scope) -> Iterator[None]:
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


def _require_header(what: str, value: str) -> None:
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"the {what} is {value!r}; wanted printable ASCII without spaces at its ends, "
            "because a gateway is told it in a header"
        )

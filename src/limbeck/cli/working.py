"""A line that says that something is going on, for work whose length nobody knows."""

from __future__ import annotations

from contextlib import AbstractContextManager

from rich.console import Console
from rich.status import Status


def working(what: str) -> AbstractContextManager[Status]:
    """Shows `what` on stderr until it is over; prints nothing where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.quiet = True
    return console.status(what)

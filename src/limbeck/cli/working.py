"""What is shown on stderr while something goes on; nothing where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.status import Status

if TYPE_CHECKING:
    from limbeck.capture.post_hoc.batching import Progress


def working(what: str) -> AbstractContextManager[Status]:
    """Shows `what` on stderr until it is over, for work whose length nobody knows."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.quiet = True
    return console.status(what)


@contextmanager
def asking_bar(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar over the questions to a teacher, and what is done about them."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bar:
        shown = bar.add_task("asking", total=None)
        yield lambda now: bar.update(
            shown, completed=now.done, total=now.requests, description=now.note
        )

"""The board that shows runs under way: a bar for each, with loss, speed and the time left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from limbeck.distill.train import Progress


class Board:
    """Told of every step that matters; draws on a terminal and says little elsewhere."""

    def __init__(self, console: Console, bars: Bars, labels: Sequence[str]) -> None:
        self._console = console
        self._bars = bars
        self._labels = labels
        self._lines = list(bars.task_ids)

    def saw(self, arm: int, progress: Progress) -> None:
        """One run has come this far."""
        self._bars.update(self._lines[arm], completed=progress.step, says=say(progress))

    def finished(self, arm: int, folder: Path) -> None:
        """One run is done; where there is no terminal that is all that is said of it."""
        task = self._bars.tasks[arm]
        self._bars.update(self._lines[arm], completed=task.total)
        if not self._console.is_terminal:
            print_line = f"{self._labels[arm]}: done, {folder}"
            self._console.print(print_line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watching(labels: Sequence[str], steps: Sequence[int]) -> Iterator[Board]:
    """A board on stderr for as long as it is needed; `labels` and `steps` are those of the runs."""
    console = Console(stderr=True)
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[says]}"),
        console=console,
        disable=not console.is_terminal,
    )
    for label, total in zip(labels, steps, strict=True):
        bars.add_task(label, total=total, says="waiting")
    with bars:
        yield Board(console, bars, labels)


def say(progress: Progress) -> str:
    """Losses in nats a token by part, tokens a second computed and learned from, time left, and the best
    share of verified answers on validation."""
    parts = [f"{role} {nats:.3f}" for role, nats in sorted(progress.loss.items())]
    seconds = max(progress.seconds, 1e-9)
    parts.append(f"{progress.tokens / seconds:,.0f} tokens/s")
    if progress.targets:
        parts.append(f"{progress.targets / seconds:,.0f} learned/s")
    left = (progress.steps - progress.step) * seconds / max(progress.step, 1)
    parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
    if progress.accuracy is not None:
        parts.append(f"verified {progress.accuracy:.1%}")
    return "  ".join(parts)

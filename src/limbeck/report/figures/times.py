"""Where the time of a run went."""

from __future__ import annotations

from collections.abc import Sequence

from limbeck.report.figures.bars import bars
from limbeck.report.figures.chart import STUDENT, Figure, Table
from limbeck.report.numbers import duration, plain
from limbeck.report.summary import StageTime


def times(stages: Sequence[StageTime], seconds: float) -> Figure | None:
    """Where the time of the run went; None without stages."""
    total: dict[str, float] = {}
    for stage in stages:
        total[stage.stage] = total.get(stage.stage, 0.0) + stage.seconds
    if not total:
        return None
    longest = max(total, key=lambda stage: total[stage])
    title = (
        f"The run took {duration(seconds)}, of which {plain(longest)} took "
        f"{duration(total[longest])}"
    )
    return bars(
        "run-time",
        title,
        "Seconds of each stage, over all tasks.",
        [(plain(stage), spent, duration(spent)) for stage, spent in total.items()],
        STUDENT,
        Table(
            ("stage", "task", "time"),
            tuple((plain(s.stage), s.task or "all", duration(s.seconds)) for s in stages),
        ),
    )

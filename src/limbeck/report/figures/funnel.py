"""What became of the recorded calls, and why some were dropped."""

from __future__ import annotations

from limbeck.report.figures.bars import bars
from limbeck.report.figures.chart import STUDENT, WRONG, Figure, Table
from limbeck.report.numbers import count, percent, plain
from limbeck.report.summary import TaskSummary


def funnel(name: str, task: TaskSummary) -> Figure:
    stages = task.data.funnel
    total = max(task.data.traces, 1)
    fit = stages[-1].left if stages else 0
    title = f"{count(fit)} of {count(task.data.traces)} recorded calls are fit for use"
    rows = [(stage.name, stage.left, f"{count(stage.left)}") for stage in stages]
    return bars(
        f"{name}-funnel",
        title,
        "Calls left after each stage of curation, over all splits.",
        rows,
        STUDENT,
        Table(
            ("stage", "calls left", "of all"),
            tuple((s.name, count(s.left), percent(s.left / total)) for s in stages),
        ),
    )


def drops(name: str, task: TaskSummary) -> Figure | None:
    """Dropped traces by reason; None where nothing was dropped."""
    totals = [(reason, by_split) for reason, by_split in task.data.drops.items() if by_split]
    if not totals:
        return None
    dropped = sum(sum(by_split.values()) for _, by_split in totals)
    first, most = totals[0][0], sum(totals[0][1].values())
    splits = list(dict.fromkeys(split for _, by_split in totals for split in by_split))
    return bars(
        f"{name}-drops",
        f"The commonest reason to drop a call: {plain(first)} ({count(most)} of {count(dropped)})",
        "Calls dropped, by the first reason that applied.",
        [(plain(reason), sum(n.values()), count(sum(n.values()))) for reason, n in totals],
        WRONG,
        Table(
            ("reason", "dropped", *splits),
            tuple(
                (
                    plain(reason),
                    count(sum(n.values())),
                    *(count(n.get(split, 0)) for split in splits),
                )
                for reason, n in totals
            ),
        ),
    )

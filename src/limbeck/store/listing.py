"""How much of what is in a store."""

from __future__ import annotations

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.types import Noun


class TaskCounts(Noun):
    """How many traces of a task there are, how many have an outcome, how many are simulated."""

    traces: int
    with_outcome: int
    simulated: int


class Counts(Noun):
    """What a store holds. The traces of no task stand under the empty name.

    `early_outcomes` wait for their trace.
    """

    traces: int
    outcomes: int
    early_outcomes: int
    rationales: int
    blobs: int
    tasks: dict[str, TaskCounts]


class SkeletonCounts(Noun):
    """The traces of one skeleton; None stands for traces without one.

    `cost_usd` is the sum over the traces whose cost is known, and None where no cost is. The times
    are those of the first and last recording, UTC in ISO 8601.
    """

    skeleton: str | None
    traces: int
    cost_usd: float | None
    first_at: str
    last_at: str


def count(connection: sa.Connection) -> Counts:
    """How much there is, in all and by task."""
    traces, outcomes = schema.traces, schema.outcomes
    judged = sa.exists().where(outcomes.c.trace_id == traces.c.id)
    by_task = sa.select(
        sa.func.coalesce(traces.c.task, ""),
        sa.func.count(),
        sa.func.sum(sa.case((judged, 1), else_=0)),
        sa.func.sum(sa.case((traces.c.simulated, 1), else_=0)),
    ).group_by(traces.c.task)
    tasks = {
        name: TaskCounts(traces=n, with_outcome=with_outcome, simulated=simulated)
        for name, n, with_outcome, simulated in connection.execute(by_task)
    }

    def rows(table: sa.Table) -> int:
        query = sa.select(sa.func.count()).select_from(table)
        return int(connection.execute(query).scalar_one())

    return Counts(
        traces=sum(counts.traces for counts in tasks.values()),
        outcomes=rows(outcomes),
        early_outcomes=rows(schema.early_outcomes),
        rationales=rows(schema.rationales),
        blobs=rows(schema.blobs),
        tasks=dict(sorted(tasks.items())),
    )


def skeletons(connection: sa.Connection, of_task: sa.ColumnElement[bool]) -> list[SkeletonCounts]:
    """The skeletons of the traces that `of_task` means, the first seen first."""
    traces = schema.traces.c
    first = sa.func.min(traces.position)
    query = (
        sa.select(
            traces.skeleton,
            sa.func.count(),
            sa.func.sum(traces.cost_usd),
            sa.func.min(traces.recorded_at),
            sa.func.max(traces.recorded_at),
        )
        .where(of_task)
        .group_by(traces.skeleton)
        .order_by(first)
    )
    return [
        SkeletonCounts(skeleton=name, traces=n, cost_usd=cost, first_at=begun, last_at=last)
        for name, n, cost, begun, last in connection.execute(query)
    ]

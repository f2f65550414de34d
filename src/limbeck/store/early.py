"""Outcomes that come before their trace wait here, by the name that they gave, until it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from limbeck.store import schema
from limbeck.store.insert import insert
from limbeck.store.naming import sort_in, with_trace
from limbeck.store.rows import outcome_row, plain
from limbeck.types import Noun, Outcome, OutcomeSource, canonical_json, content_hash

Key = Literal["trace_id", "request_id", "correlation"]


class EarlyOutcome(Noun):
    """An outcome of a call that is not in the store yet, known by one of its names.

    Where `task` is given, only a trace of that task is meant.
    """

    key: Key
    name: str
    task: str | None = None
    value: str | None = None
    correct: bool | None = None
    source: OutcomeSource
    at: datetime | None = None

    def of(self, trace_id: str) -> Outcome:
        """The same, of the trace that has come."""
        return Outcome(
            trace_id=trace_id,
            value=self.value,
            correct=self.correct,
            source=self.source,
            at=self.at,
        )


def expect(connection: sa.Connection, outcomes: Iterable[EarlyOutcome], now: str) -> int:
    """Keep them; how many were new."""
    rows = {row["hash"]: row for row in (_row(one, now) for one in outcomes)}
    return insert(connection, schema.early_outcomes, list(rows.values()))


def arrived(connection: sa.Connection) -> dict[int, Outcome]:
    """By its place in the table, every waiting outcome whose trace has come.

    Of several traces with one name the latest is meant.
    """
    early, traces, former = schema.early_outcomes, schema.traces, schema.former_ids
    if connection.execute(sa.select(early.c.position).limit(1)).first() is None:
        return {}
    ids, requests, waiting = schema.trace_ids, schema.request_ids, schema.arrivals
    # Those that wait came last.
    joins: tuple[tuple[Key, sa.FromClause, sa.Column[str]], ...] = (
        ("trace_id", _at(traces, ids), ids.c.id),
        ("trace_id", with_trace(former), former.c.id),
        ("trace_id", _at(traces, waiting), waiting.c.id),
        ("request_id", _at(traces, requests), requests.c.request_id),
        ("request_id", _at(traces, waiting), waiting.c.request_id),
        ("correlation", traces, traces.c.correlation),
    )
    found: dict[int, Outcome] = {}
    for key, there, column in joins:
        query = (
            sa.select(early.c.position, early.c.content, traces.c.id)
            .select_from(early.join(there, column == early.c.name))
            .where(
                early.c.key == key,
                sa.or_(early.c.task.is_(None), early.c.task == traces.c.task),
            )
            .order_by(traces.c.position)
        )
        for position, content, trace_id in connection.execute(query):
            found[position] = EarlyOutcome.model_validate(json.loads(content)).of(trace_id)
    return found


def _at(traces: sa.Table, names: sa.Table) -> sa.Join:
    return names.join(traces, traces.c.position == names.c.position)


def settle(connection: sa.Connection, now: str) -> int:
    """Attach those whose trace has come; how many they were."""
    sort_in(connection)
    found = arrived(connection)
    rows = {row["hash"]: row for row in (outcome_row(found[at], now) for at in sorted(found))}
    insert(connection, schema.outcomes, list(rows.values()))
    gone = sa.delete(schema.early_outcomes).where(
        schema.early_outcomes.c.position == sa.bindparam("place")
    )
    if found:
        connection.execute(gone, [{"place": position} for position in found])
    return len(found)


def _row(early: EarlyOutcome, now: str) -> dict[str, Any]:
    content = early.model_dump(mode="json", exclude_defaults=True)
    return {
        "hash": content_hash(content),
        "key": early.key,
        "name": plain(early.name),
        "task": early.task,
        "recorded_at": now,
        "content": plain(canonical_json(content)),
    }

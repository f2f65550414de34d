"""Traces, outcomes and blobs on disk; nothing that was acknowledged is lost."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import sqlalchemy as sa

from limbeck.errors import StoreError
from limbeck.store import schema
from limbeck.store.boundary import boundary
from limbeck.store.damage import find_damage
from limbeck.store.engine import open_engine
from limbeck.store.insert import insert
from limbeck.store.migrations import is_current, migrate
from limbeck.store.rows import (
    outcome_row,
    plain,
    rationale_row,
    read_outcome,
    read_rationale,
    read_trace,
    trace_row,
)
from limbeck.types import TRUST, Noun, Outcome, PostHoc, Trace

CHUNK = 500
"""Ids in one query; SQLite takes a limited number of bound values."""


class TaskCounts(Noun):
    """How many traces of a task there are, how many have an outcome, how many are simulated."""

    traces: int
    with_outcome: int
    simulated: int


class Counts(Noun):
    """What a store holds. The traces of no task stand under the empty name."""

    traces: int
    outcomes: int
    blobs: int
    tasks: dict[str, TaskCounts]


class Store:
    """The trace store in an SQLite file or a PostgreSQL database; safe to share between threads.

    Each writing call is one transaction: it is on disk when the call returns, or nothing of it is.
    Every method raises StoreError, with one sentence, where the database fails.
    """

    def __init__(self, place: str | Path) -> None:
        self._engine = open_engine(place)
        url = self._engine.url
        self.place = url.database or "" if url.get_backend_name() == "sqlite" else str(url)
        try:
            with self._reading() as connection:
                current = is_current(connection, self.place)
            # Reading first spares every opening the wait for the write lock.
            if not current:
                with self._writing() as connection:
                    migrate(connection, self.place)
        except BaseException:
            self._engine.dispose()
            raise

    def add(self, traces: Iterable[Trace]) -> int:
        """Keep `traces`; those already here (by id) change nothing. Returns how many were new."""
        return self.record(traces, ())[0]

    def attach(self, outcomes: Iterable[Outcome]) -> int:
        """Append `outcomes`; one with the same content as an earlier one changes nothing.

        Returns how many were new. Raises StoreError if a trace is not in the store.
        """
        return self.record((), outcomes)[1]

    def record(
        self,
        traces: Iterable[Trace],
        outcomes: Iterable[Outcome],
        blobs: Mapping[str, bytes] = MappingProxyType({}),
    ) -> tuple[int, int]:
        """`add` and `attach` in one transaction, with the blobs (by name) that the traces refer to.

        Returns how many traces and outcomes were new.
        """
        now = _now()
        blob_rows = [
            {"hash": name, "data": data, "recorded_at": now} for name, data in blobs.items()
        ]
        trace_rows = {trace.id: trace_row(trace, now) for trace in traces}
        made = (outcome_row(outcome, now) for outcome in outcomes)
        outcome_rows = {row["hash"]: row for row in made}
        with self._writing() as connection:
            insert(connection, schema.blobs, blob_rows)
            added = insert(connection, schema.traces, list(trace_rows.values()))
            named = dict.fromkeys(row["trace_id"] for row in outcome_rows.values())
            self._require(connection, [name for name in named if name not in trace_rows])
            attached = insert(connection, schema.outcomes, list(outcome_rows.values()))
        return added, attached

    def explain(self, made: Iterable[PostHoc]) -> int:
        """Append rationales that were asked for afterwards. Returns how many were new.

        Raises StoreError if a trace is not in the store.
        """
        now = _now()
        rows = {row["hash"]: row for row in (rationale_row(one, now) for one in made)}
        with self._writing() as connection:
            self._require(connection, list(dict.fromkeys(r["trace_id"] for r in rows.values())))
            return insert(connection, schema.rationales, list(rows.values()))

    def rationales(self, task: str | None) -> dict[str, PostHoc]:
        """By trace id, the latest rationale that was asked for after the trace was recorded."""
        query = (
            sa.select(schema.rationales.c.content)
            .join(schema.traces, schema.traces.c.id == schema.rationales.c.trace_id)
            .where(_of_task(task))
            .order_by(schema.rationales.c.position)
        )
        with self._reading() as connection:
            made = [read_rationale(content) for content in connection.execute(query).scalars()]
        return {one.trace_id: one for one in made}

    def traces(self, task: str | None, *, batch: int = 2000) -> Iterator[Trace]:
        """The traces of `task` in the order in which they came; `None` gives the calls of no task.

        Holds `batch` traces in memory, however many there are.
        """
        table = schema.traces.c
        last = 0
        while True:
            query = (
                sa.select(table.position, table.id, table.content)
                .where(_of_task(task), table.position > last)
                .order_by(table.position)
                .limit(batch)
            )
            with self._reading() as connection:
                rows = connection.execute(query).all()
            for _, trace_id, content in rows:
                yield self._trace(trace_id, content)
            if len(rows) < batch:
                return
            last = rows[-1][0]

    def trace(self, trace_id: str) -> Trace | None:
        """The trace of that id, or None."""
        query = sa.select(schema.traces.c.content).where(schema.traces.c.id == trace_id)
        with self._reading() as connection:
            content = connection.execute(query).scalar_one_or_none()
        return None if content is None else self._trace(trace_id, content)

    def find(
        self,
        *,
        trace_id: str | None = None,
        request_id: str | None = None,
        correlation: str | None = None,
    ) -> str | None:
        """The id of the trace that the one given key names; the latest, if there are several."""
        keys = {"id": trace_id, "request_id": request_id, "correlation": correlation}
        given = {name: value for name, value in keys.items() if value is not None}
        if len(given) != 1:
            raise ValueError(f"find() got {sorted(given)!r}; wanted exactly one key")
        [(column, value)] = given.items()
        query = (
            sa.select(schema.traces.c.id)
            .where(schema.traces.c[column] == plain(value))
            .order_by(schema.traces.c.position.desc())
            .limit(1)
        )
        with self._reading() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
        return found

    def truths(self, task: str | None) -> dict[str, Outcome]:
        """By trace id, the outcome to believe: the most trusted source, then the latest `at`, then
        the one attached last. An outcome without a time counts as earlier than any with one."""
        query = (
            sa.select(schema.outcomes.c.content)
            .join(schema.traces, schema.traces.c.id == schema.outcomes.c.trace_id)
            .where(_of_task(task))
            .order_by(schema.outcomes.c.position)
        )
        best: dict[str, Outcome] = {}
        with self._reading() as connection:
            for content in connection.execute(query.execution_options(yield_per=2000)).scalars():
                outcome = self._outcome(content)
                other = best.get(outcome.trace_id)
                if other is None or _believed(outcome) >= _believed(other):
                    best[outcome.trace_id] = outcome
        return dict(sorted(best.items()))

    def counts(self) -> Counts:
        """How much there is, in all and by task."""
        traces, outcomes, blobs = schema.traces, schema.outcomes, schema.blobs
        judged = sa.exists().where(outcomes.c.trace_id == traces.c.id)
        by_task = sa.select(
            sa.func.coalesce(traces.c.task, ""),
            sa.func.count(),
            sa.func.sum(sa.case((judged, 1), else_=0)),
            sa.func.sum(sa.case((traces.c.simulated, 1), else_=0)),
        ).group_by(traces.c.task)
        with self._reading() as connection:
            tasks = {
                name: TaskCounts(traces=n, with_outcome=with_outcome, simulated=simulated)
                for name, n, with_outcome, simulated in connection.execute(by_task)
            }
            return Counts(
                traces=sum(counts.traces for counts in tasks.values()),
                outcomes=connection.execute(
                    sa.select(sa.func.count()).select_from(outcomes)
                ).scalar_one(),
                blobs=connection.execute(
                    sa.select(sa.func.count()).select_from(blobs)
                ).scalar_one(),
                tasks=dict(sorted(tasks.items())),
            )

    def put_blob(self, data: bytes) -> str:
        """Keep `data` once; returns its name, `sha256:` and the hex digest."""
        name = f"sha256:{hashlib.sha256(data).hexdigest()}"
        with self._writing() as connection:
            insert(connection, schema.blobs, [{"hash": name, "data": data, "recorded_at": _now()}])
        return name

    def blob(self, name: str) -> bytes | None:
        """The data of that name, or None."""
        query = sa.select(schema.blobs.c.data).where(schema.blobs.c.hash == name)
        with self._reading() as connection:
            data = connection.execute(query).scalar_one_or_none()
        return None if data is None else bytes(data)

    def verify(self) -> list[str]:
        """Re-derive every id, hash and column from the content; one sentence for each damage."""
        with self._reading() as connection:
            return list(find_damage(connection))

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _require(self, connection: sa.Connection, trace_ids: list[str]) -> None:
        known: set[str] = set()
        for some in _chunks(trace_ids):
            query = sa.select(schema.traces.c.id).where(schema.traces.c.id.in_(some))
            known.update(connection.execute(query).scalars())
        missing = [trace_id for trace_id in trace_ids if trace_id not in known]
        if missing:
            raise StoreError(
                f"an outcome is for the trace {missing[0]!r}, which is not in the store "
                f"{self.place}; nothing of this batch was written; import or record it first"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with boundary(self.place, writing=True), self._engine.connect() as connection:
            connection = connection.execution_options(limbeck_writing=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with boundary(self.place, writing=False), self._engine.begin() as connection:
            yield connection

    def _trace(self, trace_id: str, content: str) -> Trace:
        try:
            return read_trace(content)
        except ValueError:
            raise StoreError(
                f"the trace {trace_id!r} in the store {self.place} is damaged; "
                f"see what else is with: limbeck store verify"
            ) from None

    def _outcome(self, content: str) -> Outcome:
        try:
            return read_outcome(content)
        except ValueError:
            raise StoreError(
                f"an outcome in the store {self.place} is damaged: {content[:80]!r}; "
                f"see what else is with: limbeck store verify"
            ) from None


def _of_task(task: str | None) -> sa.ColumnElement[bool]:
    return schema.traces.c.task.is_(None) if task is None else schema.traces.c.task == task


def _believed(outcome: Outcome) -> tuple[int, datetime]:
    at = outcome.at or datetime.min.replace(tzinfo=UTC)
    return TRUST[outcome.source], at if at.tzinfo else at.replace(tzinfo=UTC)


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _now() -> str:
    return datetime.now(UTC).isoformat()

"""Traces, outcomes and blobs on disk; nothing that was acknowledged is lost."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import sqlalchemy as sa

from limbeck.errors import StoreError
from limbeck.store import blobs as blob_rows
from limbeck.store import early, forgetting, listing, naming, schema
from limbeck.store.boundary import boundary
from limbeck.store.damage import find_damage
from limbeck.store.early import EarlyOutcome, Key
from limbeck.store.engine import WAIT_S, compact, open_engine
from limbeck.store.forgetting import Forgotten, Scope
from limbeck.store.insert import insert
from limbeck.store.journal import Journal
from limbeck.store.listing import Counts, SkeletonCounts
from limbeck.store.migrations import is_current, migrate
from limbeck.store.paging import page
from limbeck.store.records import Record, best_outcome
from limbeck.store.replacing import replace
from limbeck.store.rows import (
    as_text,
    outcome_row,
    plain,
    rationale_row,
    read_outcome,
    read_rationale,
    read_trace,
    trace_row,
)
from limbeck.types import Outcome, PostHoc, Trace

MOST_WAITING = 20_000
"""Traces that a process appends before it sorts their names in itself."""


class Store:
    """The trace store in an SQLite file or a PostgreSQL database; safe to share between threads.

    Each writing call is one transaction: it is on disk when the call returns, or nothing of it is.
    Every method raises StoreError, with one sentence, where the database fails.
    """

    def __init__(self, place: str | Path, *, wait_s: float = WAIT_S) -> None:
        """`wait_s` is the longest that a lock of another process is waited for."""
        self._engine = open_engine(place, wait_s)
        url = self._engine.url
        self._journal = Journal(self._engine) if url.get_backend_name() == "sqlite" else None
        self._appended = 0
        self.place = (
            url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()
        )
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

    def require_writable(self) -> None:
        """Raises StoreError where nothing can be written: sooner than with the first call."""
        nothing = sa.update(schema.migrations).where(sa.false()).values(name="")
        with self._writing() as connection:
            # Beginning is not enough: a file that is read-only may begin and end.
            connection.execute(nothing)

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

        Blobs that are there already change nothing. Returns how many traces and outcomes were new.
        """
        now = _now()
        trace_rows = {trace.id: trace_row(trace, now) for trace in traces}
        made = (outcome_row(outcome, now) for outcome in outcomes)
        outcome_rows = {row["hash"]: row for row in made}
        with self._writing() as connection:
            added = naming.add(connection, list(trace_rows.values()))
            blob_rows.keep(connection, blobs, now)
            named = dict.fromkeys(row["trace_id"] for row in outcome_rows.values())
            self._require(connection, [name for name in named if name not in trace_rows])
            attached = insert(connection, schema.outcomes, list(outcome_rows.values()))
        return added, attached

    def append(
        self, traces: Iterable[Trace], blobs: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Keep traces that are new because their calls are, with their blobs, in one transaction.

        Faster than `record` on SQLite, where the names of the traces are sorted in a little later; a
        trace that was there already is there twice until then.
        """
        if self._journal is None:
            self.record(traces, (), blobs)
            return
        now = _now()
        rows = list({trace.id: trace_row(trace, now) for trace in traces}.values())
        if blobs:
            with self._writing() as connection:
                naming.append(connection.exec_driver_sql, rows)
                blob_rows.keep(connection, blobs, now)
        elif rows:
            with boundary(self.place, writing=True):
                self._journal.add(rows)
        self._appended += len(rows)
        if self._appended >= MOST_WAITING:
            self.sort_in()

    def sort_in(self) -> int:
        """Sort in the names of the traces that `append` added, a few in each transaction; how many.

        Whatever needs it does it by itself; done early, nobody waits for it.
        """
        self._appended = 0
        return naming.sort_in_slices(self._reading, self._writing)

    def expect(self, outcomes: Iterable[EarlyOutcome]) -> int:
        """Keep outcomes of traces that are not here yet, until `settle` finds the trace.

        Those already kept change nothing. Returns how many were new.
        """
        with self._writing() as connection:
            return early.expect(connection, outcomes, _now())

    def settle(self) -> int:
        """Attach the kept outcomes whose trace has come since, in one transaction; how many.

        `truths` and `counts` do it first.
        """
        with self._reading() as connection:
            if not early.arrived(connection):
                return 0
        with self._writing() as connection:
            return early.settle(connection, _now())

    def replace(self, pairs: Iterable[tuple[str, Trace]]) -> int:
        """Put each trace in the place of the one of that id, in one transaction; how many were.

        Outcomes and rationales move along, the time of the recording stays, and the old id still
        finds the trace. An id that is not here is passed over.
        """
        with self._writing() as connection:
            return sum(replace(connection, old_id, trace) for old_id, trace in pairs)

    def would_forget(self, scope: Scope) -> Forgotten:
        """What `forget` would delete; blobs are not counted."""
        with self._reading() as connection:
            return forgetting.count(connection, scope)

    def forget(
        self, scope: Scope, progress: Callable[[Forgotten], None] | None = None
    ) -> Forgotten:
        """Delete the traces that `scope` means, with what hangs on them, and the blobs that no trace
        refers to any more and that are older than an hour.

        A few traces a transaction, so that writers need not wait; where it is broken off, the same
        call again goes on. `compact` takes the last copies off the disk.
        """
        gone, last = Forgotten(), 0
        while True:
            with self._writing() as connection:
                some, position = forgetting.delete_some(connection, scope, last)
            gone += some
            if position is None:
                break
            last = position
            if progress is not None:
                progress(gone)
        with self._writing() as connection:
            gone += forgetting.delete_early(connection, scope)
        return gone + Forgotten(blobs=self._drop_blobs())

    def _drop_blobs(self) -> int:
        before = (datetime.now(UTC) - blob_rows.GRACE).isoformat()
        # What is written while the blobs are looked through stands behind this position.
        with self._writing(alone=True) as connection:
            last = sa.select(sa.func.coalesce(sa.func.max(schema.traces.c.position), 0))
            seen = connection.execute(last).scalar_one()
        with self._reading() as connection:
            names = blob_rows.unreferred(connection, before)
        if not names:
            return 0
        with self._writing(alone=True) as connection:
            return blob_rows.delete(connection, names, seen=seen, before=before)

    def compact(self, *, shrink: bool = True) -> bool:
        """Empty the database's log, and give the space of what was deleted back to the disk.

        Returns False where others kept the log in use: it may then hold copies of what was deleted
        until the next time.
        """
        with boundary(self.place, writing=False):
            return compact(self._engine, shrink=shrink)

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
            .select_from(naming.with_trace(schema.rationales))
            .where(_of_task(task))
            .order_by(schema.rationales.c.position)
        )
        with self._reading() as connection:
            made = [read_rationale(content) for content in connection.execute(query).scalars()]
        return {one.trace_id: one for one in made}

    def traces(
        self, task: str | None, *, since: datetime | None = None, batch: int = 2000
    ) -> Iterator[Trace]:
        """The traces of `task` in the order in which they came; `None` gives the calls of no task.

        `since` leaves out those recorded before. Holds `batch` traces in memory, however many there
        are.
        """
        wanted = _of_task(task)
        if since is not None:
            wanted &= schema.traces.c.recorded_at >= as_text(since)
        return self._traces(wanted, batch)

    def by_skeleton(
        self, task: str | None, skeleton: str | None, limit: int | None = None
    ) -> Iterator[Trace]:
        """The traces of `task` with that skeleton in the order in which they came, at most `limit`."""
        its = schema.traces.c.skeleton
        same = its.is_(None) if skeleton is None else its == skeleton
        return itertools.islice(self._traces(_of_task(task) & same, limit or 2000), limit)

    def _traces(self, wanted: sa.ColumnElement[bool], batch: int) -> Iterator[Trace]:
        table = schema.traces.c
        last = 0
        while True:
            query = (
                sa.select(table.position, table.id, table.content)
                .where(wanted, table.position > last)
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
        table = schema.traces.c
        query = (
            sa.select(table.content)
            .where(table.position.in_(naming.positions("id", [trace_id])))
            .limit(1)
        )
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
        """The id of the trace that the one given key names; the latest, if there are several.

        An id that the trace had before it was given to a task finds it too.
        """
        keys = {"id": trace_id, "request_id": request_id, "correlation": correlation}
        given = {name: value for name, value in keys.items() if value is not None}
        if len(given) != 1:
            raise ValueError(f"find() got {sorted(given)!r}; wanted exactly one key")
        [(column, value)] = given.items()
        query = (
            sa.select(schema.traces.c.id)
            .where(_named(column, [plain(value) or ""]))
            .order_by(schema.traces.c.position.desc())
            .limit(1)
        )
        with self._reading() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
            if found is None and trace_id is not None:
                former = schema.former_ids.c
                renamed = sa.select(former.trace_id).where(former.id == plain(trace_id))
                found = connection.execute(renamed).scalar_one_or_none()
        return found

    def find_all(self, key: Key, names: Collection[str]) -> dict[str, Trace]:
        """By name, the traces that `find` would find; of a call that was audited, the reply that its
        client got and not what the teacher said to check it."""
        asked = {plain(name) or "": name for name in names}
        column = schema.traces.c["id" if key == "trace_id" else key]
        table, former = schema.traces, schema.former_ids
        found: dict[str, Trace] = {}
        with self._reading() as connection:
            for some in blob_rows.chunks(list(asked)):
                query = sa.select(column, table.c.id, table.c.content).where(
                    _named(column.name, some)
                )
                rows = list(connection.execute(query.order_by(table.c.position)))
                if key == "trace_id":
                    renamed = sa.select(former.c.id, table.c.id, table.c.content)
                    joined = renamed.select_from(naming.with_trace(former))
                    rows = [*connection.execute(joined.where(former.c.id.in_(some))), *rows]
                for name, trace_id, content in rows:
                    trace = self._trace(trace_id, content)
                    if not (_checks(trace) and asked[name] in found):
                        found[asked[name]] = trace
        return found

    def truths(self, task: str | None) -> dict[str, Outcome]:
        """By trace id, the outcome to believe: the most trusted source, then the latest `at`, then
        the one attached last. An outcome without a time counts as earlier than any with one."""
        query = (
            sa.select(schema.outcomes.c.content)
            .select_from(naming.with_trace(schema.outcomes))
            .where(_of_task(task))
            .order_by(schema.outcomes.c.position)
        )
        self.settle()
        best: dict[str, Outcome] = {}
        with self._reading() as connection:
            for content in connection.execute(query.execution_options(yield_per=2000)).scalars():
                outcome = self._outcome(content)
                known = best.get(outcome.trace_id)
                best[outcome.trace_id] = best_outcome(filter(None, (known, outcome))) or outcome
        return dict(sorted(best.items()))

    def records(self, task: str | None, *, batch: int) -> Iterator[list[Record]]:
        """The traces of `task` as they are stored, with their outcomes and rationales, `batch` at a
        time in the order in which they came; only one batch is in memory."""
        self.settle()
        last = 0
        while True:
            with self._reading() as connection:
                records, last = page(connection, _of_task(task), last, batch)
            if records:
                yield records
            if len(records) < batch:
                return

    def counts(self) -> Counts:
        """How much there is, in all and by task."""
        self.settle()
        with self._reading() as connection:
            return listing.count(connection)

    def skeletons(self, task: str | None) -> list[SkeletonCounts]:
        """The skeletons of the traces of `task` (None: the calls of no task), the first seen first."""
        with self._reading() as connection:
            return listing.skeletons(connection, _of_task(task))

    def put_blob(self, data: bytes) -> str:
        """Keep `data` once; returns its name, `sha256:` and the hex digest.

        It stays as long as a trace refers to it, and an hour without one.
        """
        name = f"sha256:{hashlib.sha256(data).hexdigest()}"
        with self._writing() as connection:
            blob_rows.keep(connection, {name: data}, _now())
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
        if self._journal is not None:
            self._journal.close()
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
        naming.sort_in(connection)
        ids = schema.trace_ids.c.id
        for some in blob_rows.chunks(trace_ids):
            query = sa.select(ids).where(ids.in_(some))
            known.update(connection.execute(query).scalars())
        missing = [trace_id for trace_id in trace_ids if trace_id not in known]
        if missing:
            raise StoreError(
                f"an outcome is for the trace {missing[0]!r}, which is not in the store "
                f"{self.place}; nothing of this batch was written; import or record it first"
            )

    @contextlib.contextmanager
    def _writing(self, *, alone: bool = False) -> Iterator[sa.Connection]:
        """A transaction that writes. On SQLite it is the only one anyway; with `alone` no other
        writes traces on PostgreSQL either, and all that began to have ended."""
        with boundary(self.place, writing=True), self._engine.connect() as connection:
            connection = connection.execution_options(limbeck_writing=True)
            with connection.begin():
                if alone and connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("LOCK TABLE traces IN SHARE ROW EXCLUSIVE MODE")
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


def _named(key: str, values: list[str]) -> sa.ColumnElement[bool]:
    table = schema.traces.c
    if key in naming.NAMES:
        return table.position.in_(naming.positions(key, values))
    return table[key].in_(values)


def _checks(trace: Trace) -> bool:
    """Whether the trace is what the teacher said to check a student's answer."""
    audit = trace.routing is not None and trace.routing.audit and trace.routing.local
    return audit and trace.provenance.source != "student"


def _of_task(task: str | None) -> sa.ColumnElement[bool]:
    return schema.traces.c.task.is_(None) if task is None else schema.traces.c.task == task


def _now() -> str:
    return datetime.now(UTC).isoformat()

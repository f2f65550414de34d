"""Calls of one task through a gateway in stretches, and what monitoring says after each.

Everything that is counted is read back from the store, so that a run that was interrupted continues
with the calls that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from limbeck.capture.reply import reread
from limbeck.capture.sandbox.tasks import Item
from limbeck.demo.asking import Answered, ask_all, attach_outcomes, client, through
from limbeck.demo.run import CASCADE, Run
from limbeck.evaluate.promotion import read_promotion
from limbeck.models.remote import Teacher
from limbeck.monitor.intake import read_calls
from limbeck.monitor.monitor import Monitoring, monitor
from limbeck.monitor.settings import MonitorSettings
from limbeck.report.summary import Look, Phase, Stretch
from limbeck.store.store import Store
from limbeck.types import Task, Trace
from limbeck.verify.table import judge
from limbeck.workspace import Workspace

PAGE = 2000


@dataclass
class Seen:
    """What the store holds of some calls: by correlation key, the reply that the client got, and the
    teacher's reply to an audit."""

    replies: dict[str, Trace] = field(default_factory=dict)
    checks: dict[str, Trace] = field(default_factory=dict)


@dataclass
class Traffic:
    """Calls of one task in stretches; `answered` are those that were asked here, by their key."""

    workspace: Workspace
    store: Store
    task: Task
    url: str
    client: Teacher
    settings: MonitorSettings
    advance: Callable[[int], None]
    again: bool = False
    """Ask also what is in the store already."""
    answered: dict[str, Answered | None] = field(default_factory=dict)
    sent: int = 0

    def stretch(
        self, phase: Phase, items: Sequence[Item], keys: Sequence[str]
    ) -> tuple[Stretch, Monitoring | None]:
        """Asks what is not in the store yet, tells what was true, and looks at the promise.

        What was true is told of the teacher's answers and of those of the student that were drawn to be
        audited: the promise rests on these alone.
        """
        began = datetime.now(UTC)
        there = set() if self.again else set(self.store.find_all("correlation", keys))
        missing = [(item, key) for item, key in zip(items, keys, strict=True) if key not in there]
        asked = [item for item, _ in missing]
        names = [key for _, key in missing]
        before = self.sent
        found = ask_all(
            self.client,
            self.task,
            asked,
            names,
            lambda done: self.advance(before + len(there) + done),
        )
        self.answered |= dict(zip(names, found, strict=True))
        self.sent += len(items)
        seen = seen_of(self.store, self.task, keys, None if there else began)
        truths = {key: item.truth for item, key in zip(items, keys, strict=True)}
        told = [
            (trace.id, truths[key])
            for key, trace in seen.replies.items()
            if not _local(trace) or (trace.routing is not None and trace.routing.audit)
        ]
        attach_outcomes(self.url, told, "verifier", name="trace_id")
        watched = look(self.workspace, self.store, self.task, self.settings)
        shown = _shown(watched) if watched is not None else None
        return _counted(phase, self.task, truths, seen, shown), watched


@contextmanager
def open_traffic(
    run: Run, advance: Callable[[int], None], *, again: bool = False, sent: int = 0
) -> Iterator[Traffic]:
    """Calls of the run through a gateway in mode `cascade`; the fields are those of `Traffic`."""
    task = run.in_mode("cascade")
    with (
        Store(run.workspace.store_url) as store,
        through(run.plan, run.workspace, run.truth_log, CASCADE) as url,
        client(run.plan, url) as teacher,
    ):
        settings = run.monitoring()
        yield Traffic(
            run.workspace, store, task, url, teacher, settings, advance, again=again, sent=sent
        )


def seen_of(store: Store, task: Task, keys: Sequence[str], since: datetime | None = None) -> Seen:
    """The traces of those calls, which were recorded at `since` or later."""
    wanted, seen = set(keys), Seen()
    for trace in store.traces(task.name, since=since):
        key = trace.provenance.correlation
        if key in wanted and trace.status != "error":
            # A call may be drawn to be audited and then go to the teacher all the same.
            audit = trace.routing is not None and trace.routing.audit and trace.routing.local
            check = audit and not _local(trace)
            (seen.checks if check else seen.replies)[key] = trace
    return seen


def look(
    workspace: Workspace, store: Store, task: Task, settings: MonitorSettings
) -> Monitoring | None:
    """What `limbeck monitor` would say now of the policy in force; None without one."""
    promotion = read_promotion(workspace, task.name)
    if promotion is None or promotion.closed is not None:
        return None
    calls = read_calls(
        store.records(task.name, batch=PAGE), task, promotion.policy.id, sampled=settings.sampled
    )
    return monitor(workspace, task, promotion, calls, settings)


def _shown(watched: Monitoring) -> Look:
    audits = watched.audits
    return Look(
        audits=audits.n,
        errors=audits.errors,
        interval=audits.interval,
        capital=audits.capital,
        alarm_at=audits.alarm_at,
    )


def is_right(task: Task, trace: Trace, truth: str) -> bool:
    answer = reread(task, trace).answer
    return answer is not None and judge(task, answer, truth).score == 1.0


def _counted(
    phase: Phase, task: Task, truths: dict[str, str], seen: Seen, shown: Look | None
) -> Stretch:
    right = {key: is_right(task, trace, truths[key]) for key, trace in seen.replies.items()}
    local = [key for key, trace in seen.replies.items() if _local(trace)]
    return Stretch(
        phase=phase,
        calls=len(truths),
        right=sum(right.values()),
        local=len(local),
        local_errors=sum(not right[key] for key in local),
        look=shown,
    )


def _local(trace: Trace) -> bool:
    return trace.provenance.source == "student"

"""The calls of a group are given to a task: divided again as the task says, under their new names."""

from __future__ import annotations

from typing import NamedTuple

from limbeck.capture.discover.census import Census, Progress, read_parts, untasked
from limbeck.capture.discover.groups import Group
from limbeck.capture.skeleton import divide_text
from limbeck.store.store import Store
from limbeck.types import Task, Trace

BATCH = 500
"""Calls that move in one transaction."""


class Claimed(NamedTuple):
    """How many calls the task was given, and how many of them do not match its `[call]`."""

    calls: int
    unmatched: int


def claim(
    store: Store,
    task: Task,
    group: Group,
    census: Census,
    progress: Progress = lambda done, of: None,
) -> Claimed:
    """Give the calls of `group` to `task`, with their outcomes and rationales.

    Each becomes a trace of the task, and so has another id. What was moved stays so where this is
    interrupted; the next run goes on with the rest.
    """
    moving = _Moving(store, task)
    for trace in untasked(store, progress):
        if group.holds(census.pile_of(trace), trace.input):
            moving.add(trace)
    moving.finish()
    return Claimed(moving.moved, moving.unmatched)


class _Moving:
    """Traces on their way to a task."""

    def __init__(self, store: Store, task: Task) -> None:
        self._store = store
        self._task = task
        self._pairs: list[tuple[str, Trace]] = []
        self._blobs: dict[str, bytes] = {}
        self._parts: dict[str | None, tuple[str, object, object]] = {}
        self.moved = 0
        self.unmatched = 0

    def add(self, trace: Trace) -> None:
        skeleton = trace.provenance.skeleton
        if skeleton not in self._parts:
            parts = read_parts(self._store, skeleton)
            self._parts[skeleton] = (parts.instruction, parts.tools, parts.form)
        system, tools, form = self._parts[skeleton]
        made, text, matched = divide_text(self._task, system, trace.input, tools=tools, form=form)
        provenance = trace.provenance
        if skeleton is not None:
            # A trace that came without its skeleton is not given one that nobody saw.
            provenance = provenance.model_copy(update={"skeleton": made.name})
            self._blobs.update(made.blobs)
        changed = {"task": self._task.name, "input": text, "provenance": provenance}
        self._pairs.append((trace.id, trace.model_copy(update=changed)))
        self.unmatched += not matched
        if len(self._pairs) >= BATCH:
            self.finish()

    def finish(self) -> None:
        """Move what was added so far."""
        self._store.record((), (), self._blobs)
        self.moved += self._store.replace(self._pairs)
        self._pairs, self._blobs = [], {}

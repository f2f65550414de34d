"""Calls and outcomes noted by hand, for programs whose client is none that can be wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limbeck.capture.outcomes import attach
from limbeck.capture.recording import Recording
from limbeck.capture.sdk.desk import open_desk
from limbeck.capture.sdk.journal import Place
from limbeck.capture.sdk.scope import current_scope
from limbeck.errors import StoreError
from limbeck.models.prices import cost_usd
from limbeck.store.store import Store
from limbeck.types import (
    OutcomeSource,
    Price,
    Provenance,
    Rationale,
    Status,
    Task,
    Trace,
    Usage,
    skeleton_content,
)
from limbeck.workspace import Workspace


def record(
    task: Task | str | None,
    input: str,  # noqa: A002 - the noun's own name for it
    *,
    reply: str | None = None,
    thinking: str | None = None,
    rationale: Rationale | str | None = None,
    answer: str | None = None,
    model: str = "unknown",
    usage: Usage | Mapping[str, Any] | None = None,
    status: Status = "ok",
    latency_s: float | None = None,
    correlation: str | None = None,
    subject: str | None = None,
    request_id: str | None = None,
    at: datetime | None = None,
    simulated: bool = False,
    workspace: Workspace | str | Path | None = None,
    store: Place | None = None,
) -> str:
    """Record one call, and return its trace's id when it is on disk.

    `input` is what varies in the calls of `task`. Give the teacher's `reply` as it came, from which
    rationale and answer are read by the task file; or else `answer`, with a `rationale` if there is
    one. `at` is when the call was made (default: now). `correlation`, `subject` and the task come from
    the surrounding `correlate` and `task` where they are not given.

    Raises ValueError for a reply beside an answer or rationale and for a wrong `usage`, ConfigError
    for a task that is not there, and StoreError.
    """
    parts = [
        name for name, got in (("answer", answer), ("rationale", rationale)) if got is not None
    ]
    if reply is not None and parts:
        raise ValueError(
            f"record() got a reply and also {' and '.join(parts)}; wanted the reply alone, from which "
            "they are read, or them without a reply"
        )
    desk = open_desk(workspace, store)
    scope = current_scope()
    named = task if task is not None else scope.task
    found = desk.task(named) if isinstance(named, str) else named
    tokens = usage if isinstance(usage, Usage) else _usage(usage or {})
    skeleton = _skeleton(found)
    trace = Trace(
        task=found.name if found else None,
        input=input,
        raw=reply,
        thinking=thinking,
        rationale=Rationale(text=rationale) if isinstance(rationale, str) else rationale,
        answer=answer,
        status=status,
        provenance=Provenance(
            source="sdk",
            generator=model,
            simulated=simulated,
            skeleton=found.skeleton if found else None,
            request_id=request_id,
            correlation=correlation or scope.correlation,
            subject=subject or scope.subject,
        ),
        usage=tokens,
        cost_usd=cost_usd(model, tokens, found.teacher.price if found else Price()),
        latency_s=latency_s,
        created_at=at or datetime.now(UTC),
    )
    redactor = desk.redactor(found)
    kept = Recording(trace, skeleton)
    if redactor is not None:
        kept = Recording(*redactor.recording(trace, skeleton))
    error = desk.journal.submit(kept.trace, kept.blobs).exception()
    if isinstance(error, Exception):
        raise StoreError(f"the call was not recorded: {error}") from error
    return kept.trace.id


def outcome(
    value: str | None = None,
    *,
    correct: bool | None = None,
    trace_id: str | None = None,
    request_id: str | None = None,
    correlation: str | None = None,
    source: OutcomeSource = "downstream",
    at: datetime | None = None,
    workspace: Workspace | str | Path | None = None,
    store: Store | str | Path | None = None,
) -> str | None:
    """Attach what turned out to be true of a call: the right answer, whether its answer was right, or
    both. Returns the trace's id; None where the call is not recorded yet, and the outcome is kept until
    it is.

    Name the call by one of `trace_id`, `request_id` (the provider's) and `correlation` (your own; that
    of the surrounding `correlate` where nothing is given). Raises ValueError for what is no outcome,
    ConfigError and StoreError.
    """
    names = {"trace_id": trace_id, "request_id": request_id, "correlation": correlation}
    if not any(names.values()):
        names["correlation"] = current_scope().correlation
    entry = {**names, "value": value, "correct": correct, "source": source, "at": at}
    opened = open_desk(workspace, store).journal.store()
    if not isinstance(opened, Store):
        raise TypeError(
            f"the store is {opened!r}; wanted a limbeck.store.store.Store, or its place"
        )
    given = {name: said for name, said in entry.items() if said is not None}
    [result] = attach(opened, [given])
    if result.error is not None:
        raise ValueError(f"this is no outcome: {result.error}")
    return result.trace_id


def _usage(given: Mapping[str, Any]) -> Usage:
    try:
        return Usage.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"record() got usage {dict(given)!r}: {key}: {first['msg'][:1].lower()}{first['msg'][1:]}; "
            f"wanted numbers of tokens under some of {', '.join(Usage.model_fields)}"
        ) from None


def _skeleton(task: Task | None) -> dict[str, bytes]:
    """The blob that the trace of a task refers to."""
    if task is None:
        return {}
    form = task.call
    content = skeleton_content(
        form.system or task.instruction,
        template=form.template,
        paths=form.paths,
        input=form.input,
    )
    return {task.skeleton: content.encode()}

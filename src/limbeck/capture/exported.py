"""Calls from other tools' exports become traces, with the outcomes that their scores are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from limbeck.capture.formats.imported import Imported
from limbeck.capture.formats.scores import outcome_of
from limbeck.capture.redact import Redactor
from limbeck.capture.skeleton import divide
from limbeck.models.prices import cost_usd
from limbeck.types import (
    Outcome,
    Price,
    Provenance,
    Status,
    Task,
    Trace,
    Usage,
    canonical_json,
)

NO_PRICE = Price()

Split = Literal["train", "validation", "calibration", "test", "shifted"]


class Recorded(NamedTuple):
    """A trace with its blobs and outcomes; `unused` counts the scores that are no outcome."""

    trace: Trace
    blobs: Mapping[str, bytes]
    outcomes: tuple[Outcome, ...] = ()
    unused: int = 0


def record(
    call: Imported, task: Task | None, path: Path, line: int, split: Split | None = None
) -> Recorded | str:
    """The trace of an exported call, or the reason why it is passed over.

    A call that has a name of its own is the same trace in whatever file it comes; one without is
    named by its file and line.
    """
    division = divide(task, call.call, call.body)
    if not division.input.strip():
        return "the input is empty"
    if not (call.reply.text or call.reply.thinking or call.reply.blocks):
        return "the reply is empty"
    usage = _usage(call)
    model = call.reply.model or call.generator or call.call.model
    skeleton = division.skeleton
    # A data set has no instructions of its own: those of the task are meant.
    if task is not None and call.dialect is None and not call.call.system and not call.call.tools:
        skeleton = task.skeleton
    trace = Trace(
        task=None if task is None else task.name,
        input=division.input,
        context=division.context,
        raw=call.reply.text,
        thinking=call.reply.thinking,
        blocks=canonical_json(call.reply.blocks) if call.reply.blocks else None,
        status=_status(call),
        stop_reason=call.reply.stop_reason,
        group=call.group,
        split=split,
        provenance=Provenance(
            source="import",
            generator=model or "unknown",
            skeleton=skeleton,
            request_id=call.request_id,
            correlation=call.correlation,
            subject=call.subject,
            dialect=call.dialect,
            file=None if call.request_id else path.name,
            row=None if call.request_id else call.name or f"line {line}",
            licence=call.licence,
        ),
        usage=usage,
        cost_usd=_cost(call, task, model, usage),
        latency_s=call.latency_s,
        created_at=call.at,
    )
    made = [outcome_of(score, trace.id, task) for score in call.scores]
    outcomes = tuple(one for one in made if one is not None)
    return Recorded(trace, division.blobs, outcomes, len(made) - len(outcomes))


def redacted(made: Recorded, redactor: Redactor) -> Recorded:
    """The same without what the redactor takes out; the outcomes follow the trace to its new name."""
    trace, blobs = redactor.recording(made.trace, made.blobs)
    outcomes = tuple(
        outcome.model_copy(
            update={
                "trace_id": trace.id,
                "value": None if outcome.value is None else redactor.text(outcome.value)[0],
            }
        )
        for outcome in made.outcomes
    )
    return made._replace(trace=trace, blobs=blobs, outcomes=outcomes)


def _usage(call: Imported) -> Usage:
    usage = call.usage or call.reply.usage
    return usage if call.tier is None else usage.model_copy(update={"tier": call.tier})


def _status(call: Imported) -> Status:
    # Most exports do not say how a reply ended; that is no sign that it was cut off.
    return "ok" if call.reply.stop_reason is None else call.reply.status


def _cost(call: Imported, task: Task | None, model: str, usage: Usage) -> float | None:
    if call.cost_usd is not None:
        return call.cost_usd
    if not usage.input and not usage.output:
        return None
    price = NO_PRICE if task is None else task.teacher.price
    return cost_usd(model, usage, price, at=call.at)

"""A call and its reply become a trace: the same for the gateway and for wrapped clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from limbeck.capture.redact import Redactor
from limbeck.capture.skeleton import Division
from limbeck.models.call import Call, Reply
from limbeck.models.prices import cost_usd
from limbeck.types import (
    Elicited,
    Price,
    Provenance,
    Routing,
    Status,
    Task,
    Trace,
    Usage,
    canonical_json,
)

NO_PRICE = Price()


@dataclass(slots=True)
class Exchange:
    """A call with everything about it that does not depend on the reply.

    `request_id` is the provider's once there is one, else the one that was made up for the call.
    """

    source: Literal["gateway", "sdk"]
    task: Task | None
    call: Call
    division: Division
    dialect: str
    request_id: str
    at: datetime
    correlation: str | None = None
    subject: str | None = None
    group: str | None = None
    provider: str | None = None
    elicited: Elicited | None = None
    simulated: bool = False
    redactor: Redactor | None = None
    routing: Routing | None = None


@dataclass(slots=True)
class Recording:
    """A trace, and the blobs that it refers to by name."""

    trace: Trace
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def record_reply(
    exchange: Exchange,
    reply: Reply,
    *,
    latency_s: float,
    status: Status | None = None,
    stop_reason: str | None = None,
) -> Recording:
    """The trace of what the teacher said. `status` and `stop_reason` override what the reply says of
    itself, for replies that did not end as it says."""
    task = exchange.task
    status = status or reply.status
    model = reply.model or exchange.call.model
    said = reply.text or reply.thinking or reply.blocks
    trace = Trace(
        task=task.name if task else None,
        input=exchange.division.input,
        context=exchange.division.context,
        raw=reply.text if said or status != "error" else None,
        thinking=reply.thinking,
        blocks=canonical_json(reply.blocks) if reply.blocks else None,
        status=status,
        stop_reason=stop_reason or reply.stop_reason,
        group=exchange.group,
        provenance=provenance(exchange, model),
        elicited=exchange.elicited,
        usage=reply.usage,
        cost_usd=_cost_usd(exchange, model, reply.usage),
        latency_s=latency_s,
        created_at=exchange.at,
        routing=exchange.routing,
    )
    return redacted(exchange, trace)


def _cost_usd(exchange: Exchange, model: str, usage: Usage) -> float | None:
    """None where nobody knows: the price, or what was used, as when a reply broke off."""
    if usage.input == 0 and usage.output == 0:
        return None
    price = exchange.task.teacher.price if exchange.task else NO_PRICE
    return cost_usd(model, usage, price, provider=exchange.provider)


def redacted(exchange: Exchange, trace: Trace) -> Recording:
    """`trace` and the blobs of its call, without what the task wants taken out before storage."""
    blobs = exchange.division.blobs
    if exchange.redactor is None:
        return Recording(trace, blobs)
    return Recording(*exchange.redactor.recording(trace, blobs))


def provenance(exchange: Exchange, generator: str) -> Provenance:
    """Where the trace of `exchange` came from, said by the model `generator`."""
    return Provenance(
        source=exchange.source,
        generator=generator,
        simulated=exchange.simulated,
        skeleton=exchange.division.skeleton,
        request_id=exchange.request_id,
        correlation=exchange.correlation,
        subject=exchange.subject,
        dialect=exchange.dialect,
    )

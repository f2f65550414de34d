"""A workspace with a promoted student that needs no model, and calls that it answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limbeck.monitor.intake import Calls, read_calls
from limbeck.store.store import Store
from limbeck.types import (
    AnswerForm,
    Outcome,
    OutcomeSource,
    Policy,
    Provenance,
    Routing,
    Task,
    Trace,
)

TASK = Task(
    name="refunds",
    instruction="Decide.",
    answer=AnswerForm(kind="choice", choices=("grant", "deny")),
)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def policy(student: str = "sha256:s", **given: Any) -> Policy:
    values: dict[str, Any] = {
        "task": "refunds",
        "student": student,
        "skeleton": TASK.skeleton,
        "max_risk": 0.05,
        "confidence": 0.95,
        "signals": ("lowest",),
        "center": (0.0,),
        "scale": (1.0,),
        "weights": (1.0,),
        "bias": 2.0,
        "threshold": 0.5,
        "truth_source": "gold",
        "n_fit": 100,
        "n_bound": 200,
        "n_accepted": 160,
        "n_errors": 2,
        "p_value": 0.01,
        "calibration_hash": "sha256:c",
    }
    return Policy.model_validate({**values, **given})


def call(
    number: int,
    *,
    at: datetime | None = None,
    local: bool = True,
    audit: bool = False,
    student: bool = True,
    answer: str = "grant",
    confidence: float = 0.97,
    cost: float | None = None,
    text: str | None = None,
    policy_id: str | None = None,
) -> Trace:
    """The trace of one call, a minute after the last one."""
    return Trace(
        task="refunds",
        input=text or f"Order {number} came late, and the parcel was open.",
        raw=f"Answer: {answer}",
        provenance=Provenance(source="student" if student else "gateway", generator="x"),
        cost_usd=cost if cost is not None else (0.0 if student else 0.01),
        created_at=at or BEGAN + timedelta(minutes=number),
        routing=Routing(
            policy=policy_id or policy().id,
            local=local,
            answer=answer,
            confidence=confidence,
            audit=audit,
        ),
    )


def outcome(trace: Trace, right: bool, source: OutcomeSource = "gold", **given: Any) -> Outcome:
    assert trace.routing is not None
    said = trace.routing.answer
    other = "deny" if said == "grant" else "grant"
    at = given.get("at") or trace.created_at
    return Outcome(trace_id=trace.id, value=said if right else other, source=source, at=at)


Read = Callable[[Iterable[Trace], Iterable[Outcome]], Calls]


@pytest.fixture(name="policy")
def policy_maker() -> Callable[..., Policy]:
    return policy


@pytest.fixture(name="call")
def call_maker() -> Callable[..., Trace]:
    return call


@pytest.fixture(name="outcome")
def outcome_maker() -> Callable[..., Outcome]:
    return outcome


@pytest.fixture
def began() -> datetime:
    return BEGAN


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Puts traces and outcomes into a store and reads the policy's calls from it."""

    def made(traces: Iterable[Trace], outcomes: Iterable[Outcome]) -> Calls:
        with Store(tmp_path / "calls.db") as store:
            store.record(list(traces), list(outcomes))
            return read_calls(store.records("refunds", batch=50), TASK, policy().id, sampled=100)

    return made

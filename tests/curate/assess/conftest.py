"""Planted tasks: what an assessment must say of them is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limbeck.capture.sandbox.tasks import load, render
from limbeck.curate.assess.assess import assess
from limbeck.curate.assess.findings import Assessment
from limbeck.curate.assess.settings import AssessSettings
from limbeck.types import AnswerForm, Outcome, Provenance, SplitPlan, Task, Trace

START = datetime(2026, 3, 2, tzinfo=UTC)
LABELS = ("refund", "exchange", "deny")
HALF = SplitPlan(train=0.5, validation=0, calibration=0.5, test=0)
"""Half for calibration: the promise then takes few labelled inputs."""

Planted = tuple[Task, list[Trace], dict[str, Outcome]]


def call(
    task: str, n: int, of: int, asked: str, raw: str, days: float = 56, **fields: Any
) -> Trace:
    """The nth of some calls that are spread evenly over days; each costs a cent."""
    skeleton = fields.pop("skeleton", "sha256:one")
    return Trace(
        task=task,
        input=asked,
        raw=raw,
        stop_reason="end_turn",
        provenance=Provenance(source="gateway", generator="teacher", skeleton=skeleton),
        created_at=START + timedelta(days=days * n / of, microseconds=n),
        **{"cost_usd": 0.01, **fields},
    )


def gold(traces: Iterable[Trace], values: Iterable[str]) -> dict[str, Outcome]:
    pairs = zip(traces, values, strict=True)
    return {t.id: Outcome(trace_id=t.id, value=value, source="gold") for t, value in pairs}


@pytest.fixture
def easy() -> Callable[..., Planted]:
    """A choice that one word of the input gives away; `changed_at` is where other words begin."""

    def make(n: int = 600, changed_at: int | None = None) -> Planted:
        rng = random.Random(7)
        before = ["order", "parcel", "shop", "money", "week", "item", "box"]
        after = ["server", "login", "crash", "password", "browser", "account", "screen"]
        traces, values = [], []
        for number in range(n):
            label = rng.choice(LABELS)
            words = before if changed_at is None or number < changed_at else after
            said = " ".join(rng.choices(words, k=8))
            asked = f"{said} please {label}able case {number}"
            traces.append(call("triage", number, n, asked, f"It says so.\nAnswer: {label}"))
            values.append(label)
        form = AnswerForm(kind="choice", choices=LABELS)
        return Task(name="triage", answer=form, splits=HALF), traces, gold(traces, values)

    return make


@pytest.fixture
def rules() -> Callable[[int], Planted]:
    """The sandbox task of a shop's refund rules, with the chains that its solver writes."""

    def make(n: int) -> Planted:
        sandbox = load("refunds")
        items = sandbox.generate(n, seed=5)
        traces = [call("refunds", i, n, one.input, render(one)) for i, one in enumerate(items)]
        task = sandbox.task().model_copy(update={"splits": HALF})
        return task, traces, gold(traces, [item.truth for item in items])

    return make


@pytest.fixture
def essays() -> Callable[[int], Planted]:
    """Free text that nothing can check."""

    def make(n: int) -> Planted:
        rng = random.Random(3)
        words = [f"word{number}" for number in range(400)]

        def text(k: int) -> str:
            return " ".join(rng.choices(words, k=k))

        traces = [
            call("notes", i, n, text(20), f"{text(30)}.\nAnswer: {text(12)}") for i in range(n)
        ]
        return Task(name="notes", answer=AnswerForm(kind="text"), splits=HALF), traces, {}

    return make


@pytest.fixture
def assessed() -> Callable[..., Assessment]:
    """What is found of a planted task; by default a task of some volume pays."""

    def find(planted: Planted, **settings: Any) -> Assessment:
        task, traces, truths = planted
        given = {"monthly_calls": 100_000, "sample": 1500, **settings}
        return assess(traces, truths, task, AssessSettings.model_validate(given))

    return find

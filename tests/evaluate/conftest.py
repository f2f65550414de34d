"""A small dataset, and students that need no model because what they say is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from limbeck.capture.sandbox.tasks import load, render
from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.signals.table import USUAL
from limbeck.types import (
    AnswerForm,
    Ask,
    Example,
    Outcome,
    OutcomeSource,
    Provenance,
    StudentCard,
    Task,
    Trace,
)

TASK = Task(
    name="refunds",
    instruction="Decide.",
    answer=AnswerForm(kind="choice", choices=("grant", "deny")),
)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Simulated replies, of which every tenth is wrong."""
    sandbox = load("refunds")
    task = sandbox.task()
    traces, truths = [], {}
    for number, item in enumerate(sandbox.generate(160, seed=2)):
        wrong = next(choice for choice in item.choices if choice != item.truth)
        raw = render(item) if number % 10 else f"I say so.\nAnswer: {wrong}"
        trace = Trace(
            task=task.name,
            input=item.input,
            raw=raw,
            stop_reason="end_turn",
            provenance=Provenance(source="gateway", generator="simulated", simulated=True),
        )
        traces.append(trace)
        truths[trace.id] = Outcome(trace_id=trace.id, value=item.truth, source="gold")
    made = curate(traces, truths, task, tmp_path_factory.mktemp("datasets"))
    return read_dataset(made.path)


@pytest.fixture
def card() -> Callable[..., StudentCard]:
    def make(**given: Any) -> StudentCard:
        values: dict[str, Any] = {
            "task": TASK,
            "recipe": "label",
            "ask": Ask(control="answer", order="answer", causal=False),
            "base": "nano",
            "parameters": 1000,
            "dataset": "sha256:0",
            "train_examples": 10,
            "skeleton": TASK.skeleton,
            "simulated": True,
            "seed": 0,
            "steps": 5,
            "tokens_seen": 100,
            "seconds": 2.0,
            "max_new_tokens": 8,
            "weights": "sha256:0123456789",
            "version": "0",
        }
        return StudentCard.model_validate({**values, **given})

    return make


@pytest.fixture
def answers(card: Callable[..., StudentCard]) -> Callable[..., Answers]:
    """`answers(right, ...)`: a student that was right where `right` says, with given signals."""

    def make(
        right: NDArray[np.bool_],
        signals: NDArray[np.float64] | None = None,
        usable: NDArray[np.bool_] | None = None,
        source: OutcomeSource = "gold",
        examples: list[Example] | None = None,
        **given: Any,
    ) -> Answers:
        n = len(right)
        made = card(**given)
        usable = np.ones(n, dtype=np.bool_) if usable is None else usable
        return Answers(
            folder=Path(f"{made.recipe}-s{made.seed}"),
            card=made,
            examples=examples
            or [
                Example(
                    trace_id=str(i), input="q", answer="grant", truth="grant", truth_source=source
                )
                for i in range(n)
            ],
            said=["grant" if ok else None for ok in usable],
            right=right & usable,
            signals=np.zeros((n, len(USUAL))) if signals is None else signals,
            tokens=np.full(n, 3, dtype=np.int64),
            seconds=0.5,
        )

    return make

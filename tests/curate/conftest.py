from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from limbeck.curate.checks.table import load
from limbeck.curate.frame import COLUMNS, input_key, read_frame
from limbeck.curate.truth import settle
from limbeck.types import AnswerForm, Outcome, Provenance, SplitPlan, Task, Trace

TRAIN_ONLY = SplitPlan(train=1, validation=0, calibration=0, test=0)


@pytest.fixture
def choice_task() -> Task:
    """Three labels, and every trace that names no split is for training."""
    return Task(
        name="triage",
        answer=AnswerForm(kind="choice", choices=("refund", "exchange", "deny")),
        splits=TRAIN_ONLY,
    )


@pytest.fixture
def number_task() -> Task:
    return Task(name="sums", answer=AnswerForm(kind="number"), splits=TRAIN_ONLY)


@pytest.fixture
def text_task() -> Task:
    return Task(name="notes", answer=AnswerForm(kind="text"), splits=TRAIN_ONLY)


@pytest.fixture
def trace() -> Callable[..., Trace]:
    """A trace with the given fields; `raw` is read by the task, other fields have defaults."""

    def make(asked: str = "what now?", raw: str | None = None, **fields: Any) -> Trace:
        source = fields.pop("source", "gateway")
        provenance = Provenance(
            source=source,
            generator=fields.pop("generator", "some-teacher"),
            simulated=fields.pop("simulated", False),
            licence=fields.pop("licence", None),
            row=fields.pop("row", None),
        )
        return Trace(task="triage", input=asked, raw=raw, provenance=provenance, **fields)

    return make


@pytest.fixture
def frame() -> Callable[..., pl.DataFrame]:
    """A frame from rows that name only the columns that matter."""
    plain: dict[str, Any] = {
        "input": "what now?",
        "choices": [],
        "status": "ok",
        "ran_on": False,
        "source": "gateway",
        "generator": "some-teacher",
        "simulated": False,
    }

    def make(*rows: dict[str, Any], **more: pl.DataType) -> pl.DataFrame:
        filled = [
            {
                **plain,
                "trace_id": f"sha256:{place:04}",
                "key": input_key(row.get("input", plain["input"]), row.get("choices", [])),
                **row,
            }
            for place, row in enumerate(rows)
        ]
        return pl.DataFrame(filled, schema={**COLUMNS, **more}, orient="row")

    return make


@pytest.fixture
def evidence(frame: Callable[..., pl.DataFrame]) -> Callable[..., str | None]:
    """What the check `name` has against the one trace with these columns."""

    def find(
        name: str, task: Task, settings: dict[str, Any] | None = None, **columns: Any
    ) -> str | None:
        row = {"choices": list(task.answer.choices), **columns}
        settled = settle(frame(row), task)
        result = load(name, settings).run(settled, task)
        [verdict], [said] = result["verdict"].to_list(), result["evidence"].to_list()
        assert verdict is (said is None)
        return None if said is None else str(said)

    return find


@pytest.fixture
def read() -> Callable[..., pl.DataFrame]:
    """The settled frame of some traces, as the checks see it."""

    def make(task: Task, *traces: Trace, truths: dict[str, Outcome] | None = None) -> pl.DataFrame:
        return settle(read_frame(traces, truths or {}, task), task)

    return make

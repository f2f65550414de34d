from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from limbeck.curate.dataset import Dataset
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.outcome.outcome import outcome_suite
from limbeck.types import Provenance, Trace, Usage


def test_the_suite_holds_every_arm_with_its_scores_and_costs(
    answers: Callable[..., Answers], dataset: Dataset
) -> None:
    examples = dataset.split("test")
    n = len(examples)
    half = np.arange(n) % 2 == 0
    label = answers(half, examples=examples, recipe="label")
    think = answers(np.ones(n, dtype=np.bool_), examples=examples, recipe="think-first")
    calls = {
        e.trace_id: Trace(
            task="refunds",
            input=e.input,
            provenance=Provenance(source="gateway"),
            usage=Usage(output=40),
            cost_usd=0.002,
            latency_s=1.5,
        )
        for e in examples
    }
    found = outcome_suite(dataset, "test", [label, think], calls, [(think, label)])
    assert [one.recipe for one in found.details] == ["label", "think-first"]
    assert found.teacher_cost is not None
    assert found.teacher_cost.usd_per_thousand == pytest.approx(2.0)
    assert found.teacher_cost.p95_seconds == 1.5
    control, arm = found.details
    assert control.cost.usd_per_thousand == 0
    assert arm.recovered is not None
    assert arm.recovered.share >= 1
    assert arm.scores.choice is not None
    [(name, versus)] = found.pairs
    assert (name, versus.against) == ("think-first-s0", "label-s0")
    assert versus.difference == pytest.approx(1 - half.mean())
    assert versus.verdict == "better"

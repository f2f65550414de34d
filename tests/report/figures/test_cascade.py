from __future__ import annotations

import pytest

from limbeck.report.figures.cascade import cost, latency
from limbeck.report.summary import Cascade, TaskSummary


@pytest.fixture
def cascade(refunds: TaskSummary) -> Cascade:
    assert refunds.cascade is not None
    return refunds.cascade


def test_costs_are_for_a_thousand_calls(cascade: Cascade) -> None:
    figure = cost("refunds", cascade)
    assert figure is not None
    assert figure.table.rows == (("teacher alone", "$3.22"), ("cascade", "$0.928"))


def test_a_teacher_without_a_price_has_no_cost_figure(cascade: Cascade) -> None:
    assert cost("refunds", cascade.model_copy(update={"teacher_only_usd": 0.0})) is None


def test_latency_shows_only_who_answered(cascade: Cascade) -> None:
    figure = latency("refunds", cascade)
    assert figure is not None
    assert [row[0] for row in figure.table.rows] == [
        "teacher alone",
        "answered locally",
        "passed to teacher",
    ]
    none = latency("refunds", cascade.model_copy(update={"local": 0}))
    assert none is not None
    assert none.title.startswith("No call was answered locally")
    assert latency("refunds", cascade.model_copy(update={"calls": 0, "local": 0})) is None

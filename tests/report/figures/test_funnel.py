from __future__ import annotations

from limbeck.report.figures.funnel import drops, funnel
from limbeck.report.summary import TaskSummary


def test_the_funnel_counts_what_is_left_after_each_stage(refunds: TaskSummary) -> None:
    figure = funnel("refunds", refunds)
    assert figure.title == "1,776 of 2,214 recorded calls are fit for use"
    assert figure.table.rows[-1] == ("one an input", "1,776", "80.2%")


def test_drops_are_counted_by_reason_and_split(refunds: TaskSummary) -> None:
    figure = drops("refunds", refunds)
    assert figure is not None
    assert figure.table.head == ("reason", "dropped", "train", "test", "validation", "calibration")
    assert figure.table.rows[6] == ("unknown truth", "14", "0", "9", "5", "0")


def test_nothing_dropped_gives_no_figure(ledger: TaskSummary) -> None:
    assert drops("ledger", ledger) is None

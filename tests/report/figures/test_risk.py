from __future__ import annotations

from limbeck.report.figures.risk import risk
from limbeck.report.summary import TaskSummary


def test_the_noise_of_the_first_calls_is_in_the_table_and_not_drawn(refunds: TaskSummary) -> None:
    assert refunds.calibration is not None
    figure = risk("refunds", refunds.calibration)
    assert figure is not None
    assert figure.table.rows[0] == ("1.000", "0.2%", "100.0%")
    assert "The curve runs from 0.0% wrong at 5.0% of calls" in figure.description


def test_without_a_threshold_no_point_is_claimed(ledger: TaskSummary) -> None:
    assert ledger.calibration is not None
    figure = risk("ledger", ledger.calibration)
    assert figure is not None
    assert figure.title == "No threshold keeps the promise of at most 5% wrong"


def test_without_a_curve_there_is_no_figure(ledger: TaskSummary) -> None:
    assert ledger.calibration is not None
    assert risk("ledger", ledger.calibration.model_copy(update={"curve": ()})) is None

from __future__ import annotations

from limbeck.report.figures.times import times
from limbeck.report.summary import Summary


def test_stages_are_summed_over_tasks_and_listed_by_task(summary: Summary) -> None:
    figure = times(summary.stages, summary.seconds)
    assert figure is not None
    assert figure.title == "The run took 4 min 28 s, of which distill took 3 min 26 s"
    assert ("distill", "ledger", "1 min 01 s") in figure.table.rows
    assert ("report", "all", "1.8 s") in figure.table.rows


def test_a_run_without_stages_has_no_figure() -> None:
    assert times((), 1.0) is None

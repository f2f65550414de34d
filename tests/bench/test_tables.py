from __future__ import annotations

import json
from pathlib import Path

import pytest

from pledge.tables import calibrations, detections, false_alarms

ROOT = Path(__file__).parents[2]
RESULT = json.loads((ROOT / "bench" / "results" / "promise.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "table",
    [
        calibrations(RESULT, 500),
        calibrations(RESULT, 2000),
        false_alarms(RESULT),
        detections(RESULT),
    ],
    ids=["calibrations on 500", "calibrations on 2,000", "false alarms", "detections"],
)
def test_the_page_of_the_promise_shows_the_result_that_is_kept(table: str) -> None:
    assert table in (ROOT / "docs" / "promise.md").read_text(encoding="utf-8")


def test_no_calibration_of_the_kept_result_breaks_more_promises_than_are_allowed() -> None:
    for run in RESULT["runs"]:
        ours = run["methods"]["ours"]
        assert ours["runs"] == 2000
        assert ours["broken"] <= ours["allowed"]
    for one in RESULT["audits"]["false_alarms"]:
        assert one["interval"][0] <= RESULT["delta"]


def test_a_share_of_next_to_nothing_is_left_out() -> None:
    ours = {"coverage": 0.02, "of_oracle": None, "broken_share": 0.01}
    methods = {name: {"broken_share": 1.0} for name in ("empirical", "fixed", "quantile")}
    run = {"what": "w", "n": 5, "oracle_coverage": 0.0, "provable_coverage": 0.0}
    table = calibrations({"runs": [{**run, "methods": {"ours": ours, **methods}}]}, 5)
    assert table.splitlines()[2] == "| w | 0 % | 1.0 % | - | - | 100 % | 100 % | 100 % |"

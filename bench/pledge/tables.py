"""The tables of docs/promise.md, from the result that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADINGS = (
    "student",
    "oracle's coverage",
    "**ours**: broken",
    "coverage of the oracle's",
    "of what can be proved",
    "share of errors at α: broken",
    "fixed threshold 0.9: broken",
    "half to the teacher: broken",
)
NEXT_TO_NOTHING = 0.1
"""A coverage of which no share is meant."""


def calibrations(result: dict[str, Any], n: int) -> str:
    """What came of the calibrations on `n` calls, a row a student."""
    rows = []
    for run in result["runs"]:
        if run["n"] != n:
            continue
        methods, proved = run["methods"], run["provable_coverage"]
        ours = methods["ours"]
        of_proved = ours["coverage"] / proved if proved >= NEXT_TO_NOTHING else None
        rows.append(
            (
                run["what"],
                _share(run["oracle_coverage"]),
                f"{100 * ours['broken_share']:.1f} %",
                _share(ours["of_oracle"]),
                _share(of_proved),
                *(
                    _share(methods[name]["broken_share"])
                    for name in ("empirical", "fixed", "quantile")
                ),
            )
        )
    return _table(HEADINGS, rows)


def false_alarms(result: dict[str, Any]) -> str:
    """How often the alarm is raised while the promise is kept exactly."""
    headings = ("promised", "streams", "false alarms", "a test that is repeated without correction")
    rows = []
    for one in result["audits"]["false_alarms"]:
        low, high = one["interval"]
        rows.append(
            (
                _share(one["max_risk"]),
                f"{one['streams']:,}",
                f"{100 * one['share']:.1f} % ({100 * low:.1f} % to {100 * high:.1f} %)",
                _share(one["share_of_a_test_without_correction"]),
            )
        )
    return _table(headings, rows)


def detections(result: dict[str, Any]) -> str:
    """How many audits it takes until a jump is noticed."""
    headings = ("promised", "jumps to", "after", "half of the streams within", "nine of ten within")
    rows = [
        (
            _share(one["max_risk"]),
            _share(one["jump_to"]),
            f"{one['audits_before']:,} audits",
            f"{one['audits_half']:,}",
            f"{one['audits_nine_of_ten']:,}",
        )
        for one in result["audits"]["detection"]
    ]
    return _table(headings, rows)


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return (
        "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        .replace("| ---", "|---")
        .replace("--- |", "---|")
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"

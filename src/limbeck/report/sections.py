"""What stands on the page of an evaluation: its suites as sections of figures, tables and sentences."""

from __future__ import annotations

from limbeck.evaluate.result import Result
from limbeck.report.outcome_section import outcome_section
from limbeck.report.section import Section
from limbeck.report.suite_sections import (
    bias_section,
    calibration_section,
    dependence_section,
    shifted_section,
)


def sections_of(result: Result) -> list[Section]:
    """The suites that were asked for, in their order."""
    found = []
    if result.outcome is not None:
        found.append(outcome_section(result.outcome))
    if result.shifted:
        found.append(shifted_section(result.shifted))
    if result.dependence:
        found.append(dependence_section(result.dependence))
    if result.bias:
        found.append(bias_section(result.bias))
    if result.calibration:
        found.append(calibration_section(result.calibration))
    return found

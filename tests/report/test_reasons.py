from __future__ import annotations

from limbeck.curate.checks.table import CHECKS
from limbeck.report.reasons import meaning


def test_every_built_in_check_has_its_meaning() -> None:
    assert [name for name in CHECKS if not meaning(name)] == []


def test_an_unknown_reason_shows_its_name_alone() -> None:
    assert meaning("a_check_of_ours") == ""

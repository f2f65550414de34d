from __future__ import annotations

from collections.abc import Callable

from limbeck.types import Task

Evidence = Callable[..., str | None]


def test_a_wrong_step_is_named_with_what_it_should_be(
    number_task: Task, evidence: Evidence
) -> None:
    said = evidence("arithmetic", number_task, rationale="64 - 9 = 55\n55 - 44 = 12")
    assert said == "equation 2 says '55 - 44 = 12', but the left side is 11"


def test_right_steps_and_no_steps_pass(number_task: Task, evidence: Evidence) -> None:
    for chain in ("64 - 9 = 55\n55 - 44 = 11", "no numbers at all", None):
        assert evidence("arithmetic", number_task, rationale=chain) is None

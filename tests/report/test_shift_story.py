from __future__ import annotations

from typing import Any

import pytest

from limbeck.report.shift_story import acts, aftermath, in_short
from limbeck.report.summary import Phase, Shift, Stretch, TaskSummary
from limbeck.types import Policy


@pytest.fixture
def policy(refunds: TaskSummary) -> Policy:
    assert refunds.calibration is not None
    return refunds.calibration.policy


def changed(shift: Shift, phases: tuple[Phase, ...], **given: Any) -> Shift:
    kept = tuple(one for one in shift.stretches if one.phase in phases)
    return shift.model_copy(update={"stretches": kept, **given})


def test_the_story_in_short_says_calls_audits_wrong_answers_and_the_end(shift: Shift) -> None:
    assert in_short(shift, 0.05) == (
        "the alarm came after 50 calls and 6 audits, when 14 wrong answers had gone out. From then "
        "on the teacher answered, until a student that learned from its answers took over: it answers "
        "70.7% of calls at 2.8% error (promised: at most 5%)."
    )
    assert aftermath(shift, 0.05) == "kept again"


def test_every_act_has_its_numbers(shift: Shift, policy: Policy) -> None:
    told = {act.name: act.said for act in acts(shift, policy)}
    assert list(told) == ["Shift", "Alarm", "Fallback", "Next student", "Canary", "Afterwards"]
    assert "After call 300 the calls change: customers begin" in told["Shift"]
    assert "41 of 50 changed calls" in told["Alarm"]
    assert "wrong on 14 (34.1%)" in told["Alarm"]
    assert "5% of its answers, drawn at random, are audited: 6 audits" in told["Alarm"]
    assert "of which 4 found it wrong" in told["Alarm"]
    assert "of the next 2,400 calls the student answered none" in told["Fallback"]
    assert "in 160 steps, on 1,012 calls" in told["Next student"]
    assert "right on 89.5% [" in told["Next student"]
    assert "of 190 changed calls that it never saw" in told["Next student"]
    assert "offered 50% of the calls at first: of 425 it answered 148" in told["Canary"]
    assert "41 audits, of which 1 found it wrong, let it decide all calls" in told["Canary"]
    assert "wrong on 6 (2.8% [" in told["Afterwards"]
    assert told["Afterwards"].endswith("inside the promise of 5%.")


def test_an_alarm_that_did_not_come_is_said(shift: Shift, policy: Policy) -> None:
    silent = changed(shift, ("before", "shifted"), alarm=None, retrained=None, canary=None)
    assert "no alarm was raised within 50 calls" in in_short(silent, 0.05)
    assert aftermath(silent, 0.05) == "no alarm"
    told = acts(silent, policy)
    assert [act.name for act in told] == ["Shift", "Alarm"]
    assert "have not shown that the promise is broken" in told[1].said


def test_a_student_without_a_promise_is_never_offered(shift: Shift, policy: Policy) -> None:
    assert shift.retrained is not None
    none = shift.retrained.policy.model_copy(update={"threshold": None})
    made = shift.retrained.model_copy(update={"policy": none})
    left = changed(shift, ("before", "shifted", "fallback"), retrained=made, canary=None)
    assert "no promise could be made for the next student" in in_short(left, 0.05)
    assert aftermath(left, 0.05) == "closed"
    told = acts(left, policy)
    assert [act.name for act in told][-1] == "Next student"
    assert "got no policy" in told[-1].said


@pytest.mark.parametrize(
    ("canary", "short", "end", "act"),
    [
        ("taken back", "and taken back", "closed", "closed it again"),
        ("undecided", "its audits are still too few", "not settled", "are too few to decide"),
    ],
)
def test_a_canary_that_was_not_confirmed_is_not_called_a_success(
    shift: Shift, policy: Policy, canary: str, short: str, end: str, act: str
) -> None:
    found = changed(shift, ("before", "shifted", "fallback", "canary"), canary=canary)
    assert short in in_short(found, 0.05)
    assert aftermath(found, 0.05) == end
    assert act in acts(found, policy)[-1].said


def test_errors_above_the_promise_afterwards_are_said(shift: Shift, policy: Policy) -> None:
    last = shift.stretches[-1].model_copy(update={"local_errors": 40})
    bad = shift.model_copy(update={"stretches": (*shift.stretches[:-1], last)})
    assert aftermath(bad, 0.05) == "above the promise"
    assert "above the promise of 5%" in acts(bad, policy)[-1].said


def test_a_confirmed_student_that_answered_nothing_since_divides_nothing(
    shift: Shift, policy: Policy
) -> None:
    last = Stretch(phase="after", calls=10, right=9, local=0, local_errors=0, look=None)
    none = shift.model_copy(update={"stretches": (*shift.stretches[:-1], last)})
    assert aftermath(none, 0.05) == "not settled"
    assert acts(none, policy)
    assert in_short(none, 0.05)

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from limbeck.monitor.intake import Calls
from limbeck.types import Outcome, Provenance, Trace

Make = Callable[..., Any]


def test_only_the_calls_of_the_policy_count(read: Make, call: Make) -> None:
    older = call(1, policy_id="sha256:older")
    plain = Trace(task="refunds", input="x", provenance=Provenance(source="gateway"))
    calls = read([older, plain, call(2), call(3, student=False, local=False)], [])
    assert calls.rows.height == 2
    assert calls.answered.height == 1


def test_a_call_is_counted_once_though_an_audit_has_two_traces(read: Make, call: Make) -> None:
    calls = read([call(1, audit=True), call(1, audit=True, student=False)], [])
    assert (calls.rows.height, calls.asked.height, calls.answered.height) == (2, 1, 1)
    assert len(calls.texts) == 1


def test_an_answer_is_wrong_by_its_best_outcome(read: Make, call: Make, outcome: Make) -> None:
    one, two, three, four = (call(number, audit=True) for number in range(4))
    calls = read(
        [one, two, three, four],
        [
            outcome(one, right=True),
            outcome(two, right=False, source="teacher_agreement"),
            outcome(two, right=True, source="human"),
            Outcome(trace_id=three.id, correct=False, source="verifier"),
        ],
    )
    assert calls.answered["wrong"].to_list() == [False, False, True, None]
    assert calls.audited["source"].to_list() == ["verifier", "gold", "human"]


def test_audits_stand_in_the_order_in_which_their_outcomes_came(
    read: Make, call: Make, outcome: Make
) -> None:
    first, second = call(1, audit=True, answer="deny"), call(2, audit=True)
    late = first.created_at + timedelta(days=3)
    calls: Calls = read([first, second], [outcome(first, True, at=late), outcome(second, True)])
    assert calls.audited["answer"].to_list() == ["grant", "deny"]


def test_an_outcome_of_a_call_that_was_not_drawn_is_no_audit(
    read: Make, call: Make, outcome: Make
) -> None:
    complained = call(1)
    calls = read([complained], [outcome(complained, right=False)])
    assert calls.answered["wrong"].to_list() == [True]
    assert calls.audited.height == 0


def test_the_sample_of_inputs_is_bounded_and_even(read: Make, call: Make) -> None:
    calls = read([call(number) for number in range(1200)], [])
    assert len(calls.texts) == 800
    ages = sorted(at for at, _ in calls.texts)
    assert ages[400] - ages[0] < 1.2 * (ages[-1] - ages[0]) / 2 + timedelta(hours=3)
    assert calls.since(ages[400]).rows.height < 800

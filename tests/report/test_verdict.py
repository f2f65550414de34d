from __future__ import annotations

from typing import Any

from limbeck.evaluate.intervals import clopper_pearson
from limbeck.report.summary import Calibration, Cascade, Summary, TaskSummary
from limbeck.report.verdict import limits, promise, tone, verdict


def cascade_with(task: TaskSummary, **changes: Any) -> TaskSummary:
    assert task.cascade is not None
    return task.model_copy(update={"cascade": task.cascade.model_copy(update=changes)})


def calibration_of(task: TaskSummary, **policy: Any) -> Calibration:
    assert task.calibration is not None
    changed = task.calibration.policy.model_copy(update=policy)
    return task.calibration.model_copy(update={"policy": changed})


def test_the_verdict_says_share_error_promise_and_cost(refunds: TaskSummary) -> None:
    assert verdict(refunds) == (
        "the student answers 71.2% of fresh calls by itself at 1.8% error "
        "(promised: at most 5%), cost down 71.1%."
    )
    assert tone(refunds) == "kept"


def test_an_error_above_the_promise_is_said(refunds: TaskSummary) -> None:
    errors = {"local_errors": 16, "local_risk": clopper_pearson(16, 285)}
    task = cascade_with(refunds, **errors)
    assert "above the promise, as chance allows" in verdict(task)
    assert tone(task) == "broken"
    errors = {"local_errors": 40, "local_risk": clopper_pearson(40, 285)}
    assert "which breaks the promise" in verdict(cascade_with(refunds, **errors))


def test_a_dearer_cascade_is_not_called_a_saving(refunds: TaskSummary) -> None:
    assert "cost up 16.6%" in verdict(cascade_with(refunds, cost_usd=1.5))


def test_without_a_price_no_saving_is_stated(refunds: TaskSummary) -> None:
    free = cascade_with(refunds, cost_usd=0.0, teacher_only_usd=0.0)
    assert "no saving can be stated" in verdict(free)


def test_a_cascade_that_answers_nothing_locally_says_so(refunds: TaskSummary) -> None:
    none = cascade_with(refunds, local=0, local_errors=0)
    assert "passed all 400 fresh calls to the teacher" in verdict(none)
    assert tone(none) == "kept"


def test_without_fresh_calls_the_verdict_rests_on_the_test_split(refunds: TaskSummary) -> None:
    said = verdict(refunds.model_copy(update={"cascade": None}))
    assert said == (
        "the student would answer 72.3% of test calls at 2.8% error (promised: at most 5%); "
        "no fresh calls were run."
    )


def test_no_threshold_means_no_policy(ledger: TaskSummary) -> None:
    assert "no policy and the teacher answers every call" in verdict(ledger)
    assert tone(ledger) == "closed"


def test_no_calibration_means_no_policy(ledger: TaskSummary) -> None:
    assert "no policy was fitted" in verdict(ledger.model_copy(update={"calibration": None}))


def test_a_promise_names_its_assumption_and_its_evidence(refunds: TaskSummary) -> None:
    assert refunds.calibration is not None
    first, second = promise(refunds.calibration)
    assert first == (
        "With 95% confidence at most 5% of locally answered calls are wrong, provided fresh calls "
        "resemble (are exchangeable with) the calibration calls."
    )
    assert "2 of 151 calibration calls were wrong (p = 0.021)" in second
    assert "197 calibration calls" in second
    assert "203 others" in second
    assert "Truth: known right answers." in second


def test_agreement_with_the_teacher_is_never_called_correctness(refunds: TaskSummary) -> None:
    calibration = calibration_of(refunds, truth_source="teacher_agreement")
    paragraphs = promise(calibration)
    assert "are different from the teacher's" in paragraphs[0]
    assert "agreement with the teacher, not correctness" in paragraphs[-1]
    assert not any("wrong" in paragraph for paragraph in paragraphs)
    agreeing = refunds.model_copy(update={"calibration": calibration})
    assert "disagreement with the teacher" in verdict(agreeing)


def test_an_absent_policy_says_how_many_calls_are_missing(ledger: TaskSummary) -> None:
    assert ledger.calibration is not None
    assert "about 1,240 more labelled calls" in promise(ledger.calibration)[2]
    hopeless = ledger.calibration.model_copy(update={"more_calls_needed": None})
    assert "More labelled calls would not help" in promise(hopeless)[2]


def test_limits_follow_what_was_run(summary: Summary) -> None:
    assert "simulated" in limits(summary)[0]
    real = summary.model_copy(update={"simulated": False, "tasks": summary.tasks[:1]})
    said = " ".join(limits(real))
    assert "simulated" not in said
    assert "one seed" not in said
    assert "audits" in said
    assert "one seed" in " ".join(limits(summary))


def test_a_cascade_without_calls_divides_nothing(refunds: TaskSummary) -> None:
    nothing: dict[str, Any] = {"calls": 0, "local": 0, "local_errors": 0}
    task = cascade_with(refunds, **nothing)
    assert isinstance(task.cascade, Cascade)
    assert "passed all 0 fresh calls" in verdict(task)

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from limbeck.errors import DataError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibrate import FIT_SHARE, fit_policy, more_calls_needed
from limbeck.evaluate.rule import confidence_of, raw_score
from limbeck.evaluate.signals.table import USUAL
from limbeck.types import Policy

Make = Callable[..., Answers]


def student(answers: Make, n: int = 1200, seed: int = 0, bad: float = 0.2) -> Answers:
    """Right as often as its first two signals say; a tenth of its replies are not in form."""
    random = np.random.default_rng(seed)
    signals = random.normal(size=(n, len(USUAL)))
    signals[:, 1] = 2 * signals[:, 1] - 3
    signals[:, 3] = 1.0
    z = 2 * signals[:, 0] + (signals[:, 1] + 3) + np.log((1 - bad) / bad)
    right = random.random(n) < 1 / (1 + np.exp(-z))
    return answers(right, signals, usable=random.random(n) < 0.9)


def first_part(n: int) -> NDArray[np.bool_]:
    return np.random.default_rng(0).permutation(n) < round(FIT_SHARE * n)


def test_the_policy_is_the_logistic_model_of_the_first_part(answers: Make) -> None:
    given = student(answers)
    policy = fit_policy(given, 0.1, 0.9)
    usable = np.array([said is not None for said in given.said])
    fit = first_part(len(usable)) & usable
    scaler = StandardScaler().fit(given.signals[fit])
    model = LogisticRegression(C=1.0, max_iter=1000).fit(
        scaler.transform(given.signals[fit]), given.right[fit]
    )
    theirs = model.predict_proba(scaler.transform(given.signals))[:, 1]
    assert raw_score(policy, given.signals) == pytest.approx(theirs, abs=1e-9)
    assert policy.kind == "logistic"
    assert (policy.n_fit, policy.signals) == (int(fit.sum()), tuple(USUAL))


def test_the_numbers_of_a_policy_are_what_it_decides_on_the_second_part(answers: Make) -> None:
    given = student(answers)
    policy = fit_policy(given, 0.1, 0.9)
    assert policy.threshold is not None
    usable = np.array([said is not None for said in given.said])
    bound = ~first_part(len(usable)) & usable
    kept = confidence_of(policy, given.signals[bound]) >= policy.threshold
    assert (policy.n_bound, policy.n_accepted) == (int(bound.sum()), int(kept.sum()))
    assert policy.n_errors == int((~given.right[bound][kept]).sum())
    assert 0 < policy.n_accepted < policy.n_bound
    assert policy.p_value is not None
    assert policy.p_value <= 0.1


def test_a_policy_read_back_decides_the_same_for_every_call(answers: Make) -> None:
    given = student(answers)
    policy = fit_policy(given, 0.1, 0.9)
    again = Policy.model_validate_json(policy.model_dump_json())
    assert again == policy
    assert again.id == policy.id
    assert np.array_equal(confidence_of(again, given.signals), confidence_of(policy, given.signals))


def test_the_calibration_data_is_named_by_a_hash(answers: Make) -> None:
    first = fit_policy(student(answers), 0.1, 0.9)
    assert first.calibration_hash == fit_policy(student(answers), 0.2, 0.8).calibration_hash
    assert first.calibration_hash != fit_policy(student(answers, seed=1), 0.1, 0.9).calibration_hash


def test_a_bad_student_gets_no_threshold_and_no_number_of_calls_would_help(answers: Make) -> None:
    random = np.random.default_rng(0)
    bad = answers(random.random(400) < 0.6, random.normal(size=(400, len(USUAL))))
    policy = fit_policy(bad, 0.05, 0.95)
    assert policy.threshold is None
    assert policy.p_value is not None
    assert policy.p_value > 0.05
    assert more_calls_needed(policy) is None


def test_a_good_student_with_few_calls_is_told_how_many_more_it_needs(answers: Make) -> None:
    few = answers(np.ones(80, dtype=np.bool_))
    policy = fit_policy(few, 0.05, 0.95)
    assert policy.threshold is None
    more = more_calls_needed(policy)
    assert more is not None
    assert more > 0
    enough = fit_policy(answers(np.ones(80 + more, dtype=np.bool_)), 0.05, 0.95)
    assert enough.threshold is not None
    assert more_calls_needed(enough) == 0


def test_a_student_that_never_answers_in_form_is_no_matter_of_more_calls(answers: Make) -> None:
    mute = answers(np.ones(100, dtype=np.bool_), usable=np.zeros(100, dtype=np.bool_))
    policy = fit_policy(mute, 0.05, 0.95)
    assert (policy.threshold, policy.n_bound) == (None, 0)
    assert more_calls_needed(policy) is None


def test_a_promise_is_worded_by_the_least_trusted_truth(answers: Make) -> None:
    right = np.ones(100, dtype=np.bool_)
    examples = answers(right).examples
    mixed = [examples[0].model_copy(update={"truth_source": "downstream"}), *examples[1:]]
    assert fit_policy(answers(right), 0.1, 0.9).truth_source == "gold"
    assert fit_policy(answers(right, examples=mixed), 0.1, 0.9).truth_source == "downstream"


@pytest.mark.parametrize(("risk", "sure"), [(0, 0.9), (1, 0.9), (0.1, 0), (0.1, 1), (-1, 0.9)])
def test_a_promise_outside_of_chance_is_refused(answers: Make, risk: float, sure: float) -> None:
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        fit_policy(student(answers), risk, sure)


def test_a_split_that_can_prove_nothing_is_refused(answers: Make) -> None:
    with pytest.raises(DataError, match="has 39 examples, and a promise needs hundreds"):
        fit_policy(answers(np.ones(39, dtype=np.bool_)), 0.1, 0.9)

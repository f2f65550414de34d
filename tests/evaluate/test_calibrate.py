from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from limbeck.errors import DataError
from limbeck.evaluate.aim import Aim
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibrate import FIT_SHARE, divide, fit_policy, more_calls_needed
from limbeck.evaluate.rule import confidence_of, raw_score, threshold_of
from limbeck.evaluate.score import STRENGTHS, fit_boosted
from limbeck.evaluate.signals.table import USUAL
from limbeck.evaluate.worth import auroc, worth_of
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
    ours = raw_score(policy, given.signals)
    # Its penalty is one of a few, chosen on what it did not see.
    models = (
        LogisticRegression(C=strength, max_iter=1000).fit(
            scaler.transform(given.signals[fit]), given.right[fit]
        )
        for strength in STRENGTHS
    )
    theirs = [model.predict_proba(scaler.transform(given.signals))[:, 1] for model in models]
    assert policy.kind == "logistic"
    assert min(np.abs(ours - one).max() for one in theirs) < 1e-9
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


@pytest.mark.parametrize(
    ("n", "aim"), [(150, Aim(by="label")), (50, Aim(kind="accuracy", value=0.93))]
)
def test_with_groups_and_for_other_aims_it_is_told_how_many_more_too(
    answers: Make, n: int, aim: Aim
) -> None:
    def given(n: int, seed: int = 0) -> Answers:
        random = np.random.default_rng(seed)
        made = answers(random.random(n) >= 0.02, random.normal(size=(n, len(USUAL))))
        said = np.where(random.random(n) < 0.5, "grant", "deny").tolist()
        return replace(made, said=said, teacher_right=random.random(n) >= 0.01)

    few = fit_policy(given(n), aim=aim)
    assert few.threshold is None
    more = more_calls_needed(few)
    assert more is not None
    assert 0 < more < 2000
    # What was seen on few calls is no more than a guess: twice as many are sure to be enough.
    assert fit_policy(given(2 * (n + more), seed=1), aim=aim).threshold is not None


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


# ---- other aims ---------------------------------------------------------------------------------


def test_a_policy_of_another_aim_says_what_it_aims_at_and_bounds_the_risk_too(
    answers: Make,
) -> None:
    given = student(answers, n=1500)
    given = replace(given, teacher_right=np.random.default_rng(1).random(1500) < 0.95)
    aims = {
        "accuracy": Aim(kind="accuracy", value=0.85),
        "regret": Aim(kind="regret", value=0.1),
        "budget": Aim(kind="budget", value=8.0, teacher_usd=0.01),
    }
    for kind, aim in aims.items():
        policy = fit_policy(given, aim=aim)
        assert (policy.aim, policy.goal) == (kind, aim.value)
        assert policy.threshold is not None
        assert policy.n_errors / policy.n_accepted < policy.max_risk < 0.5
        assert policy.p_value is not None
        assert policy.p_value <= 0.05


def test_a_budget_is_kept_on_calls_that_were_not_seen(answers: Make) -> None:
    aim = Aim(kind="budget", value=6.0, teacher_usd=0.01, audit_rate=0.1)
    fresh = student(answers, n=5000, seed=99)
    usable = np.array([said is not None for said in fresh.said])
    over = 0
    for seed in range(20):
        policy = fit_policy(student(answers, n=800, seed=seed), aim=aim)
        if policy.threshold is None:
            continue
        local = usable & (confidence_of(policy, fresh.signals) >= policy.threshold)
        over += 10 * (1 - local.mean() * 0.9) > 6.0
        assert 10 * (1 - local.mean() * 0.9) > 4.0, "the safest threshold that keeps it is taken"
    assert over <= stats.binom.ppf(0.999, 20, 0.05)


def test_a_budget_that_no_threshold_keeps_is_no_policy_and_one_that_pays_for_all_is_refused(
    answers: Make,
) -> None:
    mute = student(answers, n=400)
    mute = replace(mute, said=[None] * 400)
    cheap = Aim(kind="budget", value=2.0, teacher_usd=0.01)
    assert fit_policy(mute, aim=cheap).threshold is None
    with pytest.raises(DataError, match="pays for the teacher on every call"):
        fit_policy(student(answers), aim=Aim(kind="budget", value=11.0, teacher_usd=0.01))


def test_a_promise_by_label_holds_for_each_label_at_once(answers: Make) -> None:
    """The label `deny` is guessed: a threshold for all calls would hide it."""
    broken = hidden = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        # Too few for boosted steps to be tried, which would take the most of the time.
        n = 1100
        said = np.where(random.random(n) < 0.8, "grant", "deny")
        wrong = np.where(said == "grant", 0.005, 0.1)
        given = replace(
            answers(random.random(n) >= wrong, random.normal(size=(n, len(USUAL)))),
            said=said.tolist(),
        )
        by_label = fit_policy(given, aim=Aim(value=0.05, by="label"))
        rules = {rule.name: rule for rule in by_label.groups}
        assert set(rules) == {"grant", "deny"}
        assert rules["grant"].threshold is not None
        broken += rules["deny"].threshold is not None
        hidden += fit_policy(given, aim=Aim(value=0.05)).threshold is not None
    assert broken <= stats.binom.ppf(0.999, 12, 0.05)
    assert hidden > 3


def test_a_group_with_too_few_calls_gets_no_threshold_and_costs_the_others_nothing(
    answers: Make,
) -> None:
    given = answers(np.ones(600, dtype=np.bool_))
    groups = ["large"] * 595 + ["tiny"] * 5
    examples = [
        example.model_copy(update={"group": group})
        for example, group in zip(given.examples, groups, strict=True)
    ]
    policy = fit_policy(replace(given, examples=examples), aim=Aim(by="group"))
    assert [rule.name for rule in policy.groups] == ["large"]
    assert policy.groups[0].threshold is not None
    assert threshold_of(policy, "grant", "large") == policy.groups[0].threshold
    assert threshold_of(policy, "grant", "tiny") is None
    assert threshold_of(policy, "grant", None) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "accuracy", "value": 1.5}, "wanted a share between 0 and 1"),
        ({"kind": "budget", "value": 3.0}, "without what a call of the teacher costs"),
        ({"kind": "regret", "value": 0.1, "by": "label"}, "wanted a risk"),
    ],
)
def test_an_aim_that_cannot_be_kept_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Aim.model_validate(given)


# ---- the rule -----------------------------------------------------------------------------------


def bent(answers: Make, n: int = 2500, seed: int = 0) -> Answers:
    """Right where the first signal is neither low nor high: no line through it can tell."""
    random = np.random.default_rng(seed)
    signals = random.normal(size=(n, len(USUAL)))
    return answers(random.random(n) < np.where(np.abs(signals[:, 0]) < 1, 0.98, 0.4), signals)


def test_a_rule_that_a_line_cannot_draw_is_boosted_and_travels_in_the_policy(
    answers: Make,
) -> None:
    given = bent(answers)
    policy = fit_policy(given, 0.1, 0.9)
    assert policy.kind == "boosted"
    assert policy.threshold is not None
    again = Policy.model_validate_json(policy.model_dump_json())
    fresh = bent(answers, seed=1)
    p = confidence_of(again, fresh.signals)
    assert np.array_equal(p, confidence_of(policy, fresh.signals))
    assert auroc(p, fresh.right) > 0.8
    assert policy.n_accepted > 0.5 * policy.n_bound


def test_boosted_steps_add_up_to_what_the_library_predicts(answers: Make) -> None:
    given = bent(answers, n=800)
    model = GradientBoostingClassifier(
        max_depth=1, n_estimators=60, learning_rate=0.2, subsample=0.8, random_state=0
    ).fit(given.signals, given.right)
    ours = fit_boosted(given.signals, given.right).raw(given.signals)
    theirs = model.predict_proba(given.signals)[:, 1]
    # The library reads signals in single precision, so that one on a cut may fall to its other side.
    assert np.mean(np.abs(ours - theirs) < 1e-9) > 0.99


def test_probabilities_are_calibrated_and_keep_the_order_of_the_score(answers: Make) -> None:
    policy = fit_policy(student(answers, n=2400), 0.1, 0.9)
    fresh = student(answers, n=8000, seed=5)
    rows = np.array([said is not None for said in fresh.said])
    p, raw = (f(policy, fresh.signals[rows]) for f in (confidence_of, raw_score))
    order = np.argsort(raw)
    assert (np.diff(p[order])[np.diff(raw[order]) > 1e-12] > 0).all()
    for some in np.array_split(np.argsort(p), 8):
        assert p[some].mean() == pytest.approx(fresh.right[rows][some].mean(), abs=0.08)


# ---- what signals are worth ---------------------------------------------------------------------


def test_a_signal_that_tells_adds_and_one_of_noise_does_not(answers: Make) -> None:
    given = student(answers, n=2500)
    worth = {one.signal: one for one in worth_of(USUAL, given.signals, divide(given))}
    telling, noise, constant = (worth[USUAL[at]] for at in (0, 5, 3))
    assert telling.interval.low > 0.01
    assert telling.alone > 0.7
    assert abs(noise.adds) < 0.01
    assert 0.4 < noise.alone < 0.6
    assert constant.alone == 0.5
    assert constant.adds == pytest.approx(0, abs=1e-6)


def test_without_right_and_wrong_answers_nothing_is_said_of_signals(answers: Make) -> None:
    given = answers(np.ones(300, dtype=np.bool_))
    assert worth_of(USUAL, given.signals, divide(given)) == []
    assert auroc(np.arange(3.0), np.ones(3, dtype=np.bool_)) == 0.5

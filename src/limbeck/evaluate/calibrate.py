"""From a student's replies on held-out data to a policy with a promise.

The calibration split is cut in two. One part fits the rule that turns signals into P(answer is right)
and chooses the candidate thresholds and their order; the other tests them. With probability 1 − δ
over the calibration data the promise then holds, provided that later calls are exchangeable with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from limbeck.errors import DataError
from limbeck.evaluate.aim import Aim
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.rule import calibrated
from limbeck.evaluate.score import Score, fit_score
from limbeck.evaluate.threshold import (
    CANDIDATES,
    STARTS,
    Judged,
    Promise,
    Trial,
    at_least_right,
    at_most_worse,
    at_most_wrong,
    fewest_calls,
    learn_then_test,
    upper_risk,
)
from limbeck.types import TRUST, GroupRule, OutcomeSource, Policy, content_hash

Bools = NDArray[np.bool_]

FEWEST = 40
FIT_SHARE = 0.35
"""Share of the calls that fit the rule. A handful of signals is soon learned; what limits coverage is
how many calls test the threshold."""


@dataclass(frozen=True)
class Halves:
    """The calibration split, scored, with the rows of its two parts."""

    judged: Judged
    score: Score
    fit: Bools  # (N,)
    usable: Bools  # (N,) in the task's form

    @property
    def fitted(self) -> Judged:
        return self.judged.part(self.fit)

    @property
    def bound(self) -> Judged:
        return self.judged.part(~self.fit)


def fit_policy(
    answers: Answers,
    max_risk: float = 0.05,
    confidence: float = 0.95,
    *,
    aim: Aim | None = None,
    seed: int = 0,
) -> Policy:
    """The policy for one student; `threshold` is None where no threshold keeps the promise.

    `max_risk` is α and `confidence` is 1 − δ, both in (0, 1); `aim` asks for another promise. A reply
    that is not in the task's form always goes to the teacher. Raises `DataError` on fewer than 40
    replies.
    """
    if aim is None:
        try:
            aim = Aim(value=max_risk, confidence=confidence)
        except ValidationError:
            raise DataError(
                f"max risk {max_risk!r} and confidence {confidence!r} must lie between 0 and 1"
            ) from None
    halves = divide(answers, seed=seed)
    found: dict[str, Any]
    if aim.kind == "budget":
        found = _within_budget(halves, aim)
    elif aim.by is not None:
        found = _by_group(halves, answers, aim)
    else:
        found = _for_all(halves, aim)
    score = halves.score
    novelty = answers.readings[0].novelty if answers.readings else None
    return Policy(
        task=answers.card.task.name,
        student=answers.card.id,
        skeleton=answers.card.skeleton,
        confidence=aim.confidence,
        signals=answers.names,
        center=tuple(score.center.tolist()),
        scale=tuple(score.scale.tolist()),
        weights=tuple(score.weights.tolist()),
        bias=score.bias,
        kind=score.kind,
        steps=score.steps,
        knots=score.knots,
        novelty=novelty.packed() if novelty and "novelty" in answers.names else None,
        samples=len(answers.readings[0].samples) if answers.readings else 0,
        truth_source=_least_trusted(answers),
        n_fit=int((halves.fit & halves.usable).sum()),
        n_bound=int((~halves.fit & halves.usable).sum()),
        calibration_hash=content_hash(
            {"ids": [e.trace_id for e in answers.examples], "right": answers.right.tolist()}
        ),
        aim=aim.kind,
        goal=None if aim.kind == "risk" else aim.value,
        grouped_by=aim.by,
        audit_rate=aim.audit_rate,
        **found,
    )


def fewest_examples(max_risk: float, delta: float) -> int:
    """Calibration examples below which no promise of `max_risk` can be shown, were every answer right."""
    return max(FEWEST, math.ceil(fewest_calls(max_risk, delta) / (1 - FIT_SHARE)))


def divide(answers: Answers, *, seed: int = 0) -> Halves:
    """The two parts of the calibration split, and the score that the first one gives both."""
    n = len(answers.right)
    if n < FEWEST:
        raise DataError(
            f"the calibration split has {n} examples, and a promise needs hundreds; raise "
            "[splits] calibration in the task file and curate again"
        )
    usable = np.array([said is not None for said in answers.said], dtype=np.bool_)
    fit = np.random.default_rng(seed).permutation(n) < max(FEWEST // 2, round(FIT_SHARE * n))
    learned = fit & usable
    score = fit_score(answers.signals[learned], answers.right[learned], seed=seed)
    # The raw score and the knots, as the policy will have them.
    confidence = np.full(n, -math.inf)
    confidence[usable] = calibrated(score.knots, score.raw(answers.signals[usable]))
    teacher = answers.teacher_right
    judged = Judged(confidence, answers.right, np.ones(n, np.bool_) if teacher is None else teacher)
    return Halves(judged, score, fit, usable)


def _for_all(halves: Halves, aim: Aim) -> dict[str, Any]:
    """One threshold for all calls, tested as the aim wants it."""
    enough = fewest_calls(aim.value if aim.kind == "risk" else 0.05, aim.delta)
    tested = learn_then_test(halves.fitted, halves.bound, promise_of(aim), enough, aim.delta)
    risk = aim.value
    if aim.kind != "risk":
        # The threshold was chosen among so many by the same calls: the bound holds for all of them.
        delta = aim.delta / CANDIDATES
        risk = min(upper_risk(tested.errors, tested.kept, delta), 1.0) if tested.kept else 1.0
    return {**_numbers(tested), "max_risk": risk}


def promise_of(aim: Aim) -> Promise:
    """The test that belongs to the aim."""
    if aim.kind == "accuracy":
        return at_least_right(aim.value)
    if aim.kind == "regret":
        return at_most_worse(aim.value, aim.delta)
    return at_most_wrong(aim.value)


def _within_budget(halves: Halves, aim: Aim) -> dict[str, Any]:
    """The safest threshold that keeps within the budget, and the risk that is then left.

    The first part alone chooses the threshold; the second bounds the share of calls that go to the
    teacher and the error rate of the others, each with half of δ.
    """
    share = asked_at_most(aim)
    fitted, bound, delta = halves.fitted, halves.bound, aim.delta / 2
    if share >= 1:
        raise DataError(
            f"a budget of ${aim.value:,.2f} for a thousand calls pays for the teacher on every call; "
            "no student is needed, or give a smaller --budget"
        )
    n_fit, n_bound = len(fitted.score), len(bound.score)
    # Room for chance on both parts, so that the test is passed more often than not.
    slack = float(stats.norm.ppf(1 - delta)) + 0.5
    spread = math.sqrt(max(share * (1 - share), 1 / n_bound) * (1 / n_fit + 1 / n_bound))
    local = min(1.0, 1 - share + slack * spread)
    threshold = float(np.sort(fitted.score)[max(0, math.floor((1 - local) * n_fit))])
    [tested] = at_most_wrong(0.5)(bound, np.array([threshold]))
    kept, errors = tested.kept, tested.errors
    p_value = float(stats.binom.cdf(n_bound - kept, n_bound, share))
    passed = p_value <= delta and math.isfinite(threshold)
    found = Trial(threshold, kept, errors, p_value, passed)
    return {**_numbers(found), "max_risk": upper_risk(errors, kept, delta)}


def asked_at_most(aim: Aim) -> float:
    """The share of calls that may go to the teacher within the budget, audits included."""
    assert aim.teacher_usd is not None
    paid = aim.value / (1000 * aim.teacher_usd)
    return max(0.0, (paid - aim.audit_rate) / (1 - aim.audit_rate)) if aim.audit_rate < 1 else 0.0


def _by_group(halves: Halves, answers: Answers, aim: Aim) -> dict[str, Any]:
    """A threshold for each group that has enough calls in the first part; the others get none.

    How many there are is decided before anything is tested, and each is tested at δ by their number
    (Bonferroni), so that all promises hold at once.
    """
    names = answers.said if aim.by == "label" else [one.group for one in answers.examples]
    mine = np.array([name or "" for name in names], dtype=np.str_)
    counted = {
        str(name): int((halves.fit & halves.usable & (mine == name)).sum())
        for name in np.unique(mine)
        if name
    }
    enough = fewest_calls(aim.value, aim.delta / max(1, len(counted)))
    tried = [name for name, count in counted.items() if count >= enough * FIT_SHARE]
    delta = aim.delta / max(1, len(tried))
    rules = []
    for name in tried:
        member = mine == name
        tested = learn_then_test(
            halves.judged.part(halves.fit & member),
            halves.judged.part(~halves.fit & member),
            at_most_wrong(aim.value),
            fewest_calls(aim.value, delta),
            delta,
        )
        n_bound = int((~halves.fit & halves.usable & member).sum())
        numbers = _numbers(tested)
        rules.append(GroupRule(name=name, n_bound=n_bound, **numbers))
    passed = [rule for rule in rules if rule.threshold is not None]
    return {
        "max_risk": aim.value,
        "groups": tuple(rules),
        "threshold": min(
            (rule.threshold for rule in rules if rule.threshold is not None), default=None
        ),
        "n_accepted": sum(rule.n_accepted for rule in passed),
        "n_errors": sum(rule.n_errors for rule in passed),
        "p_value": max((rule.p_value for rule in passed if rule.p_value is not None), default=None),
    }


def _numbers(tested: Trial) -> dict[str, Any]:
    return {
        "threshold": tested.threshold if tested.passed else None,
        "n_accepted": tested.kept,
        "n_errors": tested.errors,
        "p_value": tested.p_value if tested.kept else None,
    }


def more_calls_needed(policy: Policy) -> int | None:
    """About how many more labelled calls would let a threshold pass, if what was seen at the most
    promising one stayed as it is; with groups, the first of them. None where no number would, or where
    no answer was in the task's form."""
    if policy.threshold is not None:
        return 0
    if not policy.n_bound:
        return None
    have, delta = policy.n_fit + policy.n_bound, 1 - policy.confidence
    if policy.grouped_by is not None:
        delta /= max(1, len(policy.groups))
        times = [_times(rule, policy.max_risk, delta) for rule in policy.groups]
        needed = min((one for one in times if one is not None), default=None)
    elif policy.aim == "risk":
        needed = _times(policy, policy.max_risk, delta)
    else:
        needed = _times_by_tail(policy.p_value, delta)
    return None if needed is None else max(0, math.ceil((needed - 1) * have))


def _times(tested: Policy | GroupRule, max_risk: float, delta: float) -> float | None:
    """How many times the tested calls an exact test needs, with the share of wrong answers seen."""
    rate = tested.n_errors / tested.n_accepted if tested.n_accepted else 0.0
    if rate >= max_risk or not tested.n_bound:
        return None
    share = max(tested.n_accepted / tested.n_bound, 0.02)
    kept = np.arange(max(tested.n_accepted, 1), 200_000, 5)
    tail = stats.binom.cdf(np.ceil(rate * kept), kept, max_risk)
    enough = np.flatnonzero(tail <= delta)
    return int(kept[enough[0]]) / share / tested.n_bound if len(enough) else None


def _times_by_tail(p_value: float | None, delta: float) -> float | None:
    """The same for a test whose counts the policy does not hold: the logarithm of a tail grows with the
    number of calls. A threshold may have been tested with a part of δ only."""
    if p_value is None or p_value >= 0.5:
        return None
    level = min(part for _, part in STARTS) * delta
    return max(1.0, math.log(level) / math.log(p_value))


def _least_trusted(answers: Answers) -> OutcomeSource:
    """The promise is worded by the weakest kind of truth among the calibration data."""
    return min((example.truth_source for example in answers.examples), key=lambda s: TRUST[s])

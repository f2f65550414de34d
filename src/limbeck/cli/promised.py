"""A policy in words: what is promised, on what it rests, or why nothing is."""

from __future__ import annotations

import math

import numpy as np

from limbeck.evaluate.aim import Aim
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.calibrate import FIT_SHARE, more_calls_needed
from limbeck.evaluate.threshold import fewest_calls
from limbeck.types import OutcomeSource, Policy

_TRUTH: dict[OutcomeSource, str] = {
    "gold": "answers known to be right",
    "human": "people's judgement",
    "verifier": "a program's check of the answers",
    "downstream": "what happened downstream, which may have other causes",
    "teacher_agreement": "agreement with the teacher, who may be wrong too",
}
"""What a promise rests on, by the least trusted truth among the calibration data."""


def share_local(policy: Policy, answers: Answers) -> float:
    """The share of the tested calls that the student would answer; 0 where no threshold passed."""
    if policy.threshold is None or not policy.n_bound:
        return 0.0
    usable = float(np.mean([said is not None for said in answers.said]))
    return usable * policy.n_accepted / policy.n_bound


def usd_per_thousand(policy: Policy, answers: Answers, teacher_usd: float) -> float:
    """What a thousand calls cost at the teacher, with its answers to the audits."""
    local = share_local(policy, answers)
    return 1000 * teacher_usd * (1 - local * (1 - policy.audit_rate))


def sentences(policy: Policy, answers: Answers, aim: Aim) -> list[str]:
    """What is promised and on what it rests, or why nothing is; for a person."""
    if policy.threshold is None:
        return _nothing(policy, aim)
    local = share_local(policy, answers)
    said = [
        f"{_promise(policy, aim)} It would answer about {local:.1%} of the calls, and the teacher "
        "the rest."
    ]
    if policy.grouped_by is None:
        said.append(
            f"Tested on {policy.n_bound:,} calls that neither training nor the fit of the rule "
            f"saw: at the threshold {policy.threshold:.4f}, {_tested(policy)} "
            f"(p = {policy.p_value:.2g})."
        )
    else:
        said += _groups(policy)
    if aim.teacher_usd is not None:
        usd = usd_per_thousand(policy, answers, aim.teacher_usd)
        said.append(
            f"A thousand calls would cost about ${usd:,.2f} at the teacher, the checks of "
            f"{policy.audit_rate:.0%} of the local answers among them, against "
            f"${1000 * aim.teacher_usd:,.2f} without the student."
        )
    said.append(
        f"It rests on {_TRUTH[policy.truth_source]}, and on later calls being like these "
        "(exchangeable), with the same instructions."
    )
    return said


def _promise(policy: Policy, aim: Aim) -> str:
    sure, risk = f"{policy.confidence:.1%}", f"{policy.max_risk:.1%}"
    agrees = policy.truth_source == "teacher_agreement"
    among = f"of the answers that this student gives on its own {_amiss(policy)}"
    if aim.kind == "risk":
        by = {"label": "for each label, ", "group": "for each group, ", None: ""}[aim.by]
        return f"Promised: with confidence {sure}, {by}at most {risk} {among}."
    if aim.kind == "accuracy":
        how = "what the teacher says" if agrees else "right"
        first = f"at least {aim.value:.1%} of all answers are {how}, whoever gives them"
    elif aim.kind == "regret":
        own = "the answers that this student gives on its own"
        share = f"{aim.value:.1%} of the calls"
        first = (
            f"{own} differ from the teacher's in at most {share}"
            if agrees
            else f"{own} are wrong more often than the teacher's would be by at most {share}"
        )
    else:
        first = f"a thousand calls cost at most ${aim.value:,.2f} at the teacher"
    each = "" if aim.kind == "budget" else ", each by itself,"
    return f"Promised: with confidence {sure}{each} {first}, and at most {risk} {among}."


def _groups(policy: Policy) -> list[str]:
    said = []
    for rule in policy.groups:
        name = f"  {rule.name!r}"
        if rule.threshold is None:
            said.append(f"{name}: no threshold passed, so the teacher answers.")
        else:
            said.append(
                f"{name}: {rule.n_accepted:,} of {rule.n_bound:,} tested calls at or above "
                f"{rule.threshold:.4f}, {rule.n_errors:,} of them amiss (p = {rule.p_value:.2g})."
            )
    level = (1 - policy.confidence) / max(1, len(policy.groups))
    said.append(
        f"{len(policy.groups)} were tested, each at {level:.2g}, so that all hold together; calls "
        "of any other go to the teacher."
    )
    return said


def _nothing(policy: Policy, aim: Aim) -> list[str]:
    sure = f"{policy.confidence:.1%}"
    wanted = {
        "risk": f"keeps the share of answers that {_amiss(policy)} at or below {aim.value:.1%}",
        "regret": f"keeps the student within {aim.value:.1%} of the teacher",
        "accuracy": f"keeps {aim.value:.1%} of all answers right",
        "budget": f"keeps a thousand calls within ${aim.value:,.2f}",
    }[aim.kind]
    said = [
        f"Nothing is promised: no threshold {wanted} with confidence {sure}, so the teacher answers "
        "every call."
    ]
    if not policy.n_bound:
        said.append(
            "It gave no answer in the task's form, so there was nothing to test: train a better one."
        )
        return said
    less = "promise less with a larger --max-risk"
    if policy.grouped_by is not None and not policy.groups:
        each = math.ceil(fewest_calls(policy.max_risk, aim.delta) / (1 - FIT_SHARE))
        said.append(
            "No group has enough calls to be tested: each needs about "
            f"{each:,} labelled calls of its own without a mistake, and more with some."
        )
        return said
    if policy.grouped_by is not None:
        said.append(f"{len(policy.groups)} groups were large enough to be tested, and none passed.")
        less = "promise it for all calls together"
    elif policy.n_accepted:
        said.append(f"At the most promising threshold, {_tested(policy)}.")
    if aim.kind != "risk":
        less = "ask for less"
    more = more_calls_needed(policy)
    if more is None:
        said.append(
            "More calibration calls would not change that while the student is wrong so often: "
            f"train a better one, or {less}."
        )
    else:
        first = " for the first of them" if policy.grouped_by is not None else ""
        said.append(
            f"About {more:,} more labelled calls in the calibration split would be needed{first}, if "
            f"the share of wrong answers stayed as it is; or {less}."
        )
    return said


def _tested(policy: Policy) -> str:
    agrees = policy.truth_source == "teacher_agreement"
    amiss = "were not the teacher's" if agrees else "were wrong"
    return f"{policy.n_errors:,} of {policy.n_accepted:,} answers {amiss}"


def _amiss(policy: Policy) -> str:
    agrees = policy.truth_source == "teacher_agreement"
    return "are not what the teacher would say" if agrees else "are wrong"

"""The sentences that carry a report: what was found, what is promised, what is not shown.

Each is derived from the numbers, so that no number can change without its sentence.
"""

from __future__ import annotations

from typing import Literal

from limbeck.report.numbers import count, level, p_value, percent
from limbeck.report.summary import Calibration, Cascade, Summary, TaskSummary
from limbeck.types import Policy

Tone = Literal["kept", "broken", "closed"]
"""The promise held on fresh calls (or none were run), it did not, or there is none."""


def tone(task: TaskSummary) -> Tone:
    if task.calibration is None or task.calibration.policy.threshold is None:
        return "closed"
    return "broken" if task.cascade and _above(task.cascade, task.calibration.policy) else "kept"


def verdict(task: TaskSummary) -> str:
    """One sentence about one task, without the task's name."""
    if task.calibration is None:
        return "no policy was fitted, so the teacher answers every call and the cost stays what it was."
    policy = task.calibration.policy
    promised = f"at most {level(policy.max_risk)}"
    if policy.threshold is None:
        return (
            f"no threshold keeps the promise ({promised} {_amiss(policy)}, with "
            f"{level(policy.confidence)} confidence), so there is no policy and the teacher answers "
            f"every call."
        )
    if task.cascade is None:
        return f"{_on_test(task.calibration)} (promised: {promised}); no fresh calls were run."
    cascade = task.cascade
    if cascade.local == 0:
        return (
            f"a policy is in place (promised: {promised} {_amiss(policy)}), but it passed all "
            f"{count(cascade.calls)} fresh calls to the teacher."
        )
    found = (
        f"at {percent(cascade.local_errors / cascade.local)} {_rate(policy)} (promised: {promised})"
    )
    if _above(cascade, policy):
        certain = cascade.local_risk.low > policy.max_risk
        said = (
            "which breaks the promise"
            if certain
            else "which is above the promise, as chance allows"
        )
        found = f"{found}, {said}"
    return (
        f"the student answers {percent(cascade.local / cascade.calls)} of fresh calls by itself "
        f"{found}, {saving(cascade)}."
    )


def saving(cascade: Cascade) -> str:
    """What the cascade does to what the teacher is paid for the same calls."""
    if cascade.teacher_only_usd <= 0:
        return "and no saving can be stated without the teacher's price"
    change = 1 - cascade.cost_usd / cascade.teacher_only_usd
    return f"cost {'down' if change >= 0 else 'up'} {percent(abs(change))}"


def promise(calibration: Calibration) -> list[str]:
    """What is promised and on what ground, or why nothing is; one paragraph each."""
    policy = calibration.policy
    tested = f"{count(policy.n_errors)} of {count(policy.n_accepted)}"
    tail = f" ({p_value(policy.p_value)})" if policy.p_value is not None else ""
    fitted = (
        f"{count(policy.n_fit)} calibration calls fitted the confidence and {count(policy.n_bound)} "
        f"others tested the threshold; training saw none of them."
    )
    if policy.threshold is None:
        return [
            "There is no policy: the teacher answers everything.",
            f"No threshold could be shown to keep "
            f"the answers that are {_amiss(policy)} at {level(policy.max_risk)} or less with "
            f"{level(policy.confidence)} confidence. The safest one tested had {tested} "
            f"{_amiss(policy)}{tail}. {fitted}",
            _needed(calibration),
            *_agreement(policy),
        ]
    return [
        f"With {level(policy.confidence)} confidence at most {level(policy.max_risk)} of locally "
        f"answered calls are {_amiss(policy)}, provided fresh calls resemble (are exchangeable with) "
        f"the calibration calls.",
        f"At confidence {policy.threshold:.3f} and above, {tested} calibration calls were "
        f"{_amiss(policy)}{tail}. {fitted} Truth: {_truth(policy)}.",
        *_agreement(policy),
    ]


def limits(summary: Summary) -> list[str]:
    """What a reader must not take from the numbers."""
    said = []
    if summary.simulated:
        said.append(
            "The tasks and the teacher are simulated. The numbers show that the loop works; they "
            "say nothing about real calls, real teachers or larger students."
        )
    seeds = min((len(a.seeds) for t in summary.tasks for a in t.evaluation.arms), default=0)
    if seeds < 3:
        said.append(
            f"Some students were trained on {'one seed' if seeds == 1 else f'{seeds} seeds'} only: "
            f"their intervals cover the choice of test calls, not the luck of training."
        )
    if any(t.calibration and t.calibration.policy.threshold is not None for t in summary.tasks):
        said.append(
            "A promise holds for calls like those it was calibrated on. New wordings, new kinds of "
            "cases or changed instructions can break it, and only audits of local answers show that."
        )
    said += [
        "A rationale is evidence for training and filtering. It is no proof of an answer, and how "
        "much a student's rationale resembles the teacher's is not measured here.",
        "Costs are what the teacher charges by the task's price. Training and running the student "
        "are not in them; the times were measured on the machine named above.",
    ]
    return said


def _above(cascade: Cascade, policy: Policy) -> bool:
    return cascade.local > 0 and cascade.local_errors / cascade.local > policy.max_risk


def _on_test(calibration: Calibration) -> str:
    coverage, risk = calibration.chosen_coverage, calibration.chosen_risk
    if coverage is None or risk is None:
        return "a policy is in place"
    rate = _rate(calibration.policy)
    return f"the student would answer {percent(coverage)} of test calls at {percent(risk)} {rate}"


def _needed(calibration: Calibration) -> str:
    needed = calibration.more_calls_needed
    if needed is None:
        return (
            "More labelled calls would not help at this error rate: the student itself must get "
            "better, or the promise must be weaker (--max-risk)."
        )
    return f"At this error rate about {count(needed)} more labelled calls would be needed."


def _agreement(policy: Policy) -> list[str]:
    if policy.truth_source != "teacher_agreement":
        return []
    return [
        "This promises agreement with the teacher, not correctness: the truth of at least one "
        "calibration call is the teacher's own answer."
    ]


def _amiss(policy: Policy) -> str:
    agrees = policy.truth_source == "teacher_agreement"
    return "different from the teacher's" if agrees else "wrong"


def _rate(policy: Policy) -> str:
    agrees = policy.truth_source == "teacher_agreement"
    return "disagreement with the teacher" if agrees else "error"


def _truth(policy: Policy) -> str:
    return {
        "gold": "known right answers",
        "human": "what people said",
        "verifier": "a program that checks the answer",
        "downstream": "what happened later",
        "teacher_agreement": "the teacher's own answer",
    }[policy.truth_source]

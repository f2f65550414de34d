"""The sentences about a planted shift, each derived from the numbers."""

from __future__ import annotations

from typing import Literal, NamedTuple

from limbeck.evaluate.intervals import clopper_pearson
from limbeck.report.numbers import count, level, percent, span
from limbeck.report.summary import Phase, Retrained, Shift
from limbeck.types import Policy

Aftermath = Literal["kept again", "above the promise", "closed", "not settled", "no alarm"]


class Act(NamedTuple):
    """One act of the story: a name of a word or two, and what happened."""

    name: str
    said: str


class _Sum(NamedTuple):
    calls: int
    right: int
    local: int
    errors: int


def aftermath(shift: Shift, max_risk: float) -> Aftermath:
    """Where the task stands at the end."""
    if shift.alarm is None:
        return "no alarm"
    if shift.canary in (None, "taken back"):
        return "closed"
    after = _sum(shift, "after")
    if shift.canary == "undecided" or not after.local:
        return "not settled"
    return "kept again" if after.errors <= max_risk * after.local else "above the promise"


def in_short(shift: Shift, max_risk: float) -> str:
    """The whole story in a sentence or two, without the task's name."""
    shifted = _sum(shift, "shifted")
    wrong = f"{count(shifted.errors)} wrong answers had gone out"
    if shift.alarm is None:
        return (
            f"no alarm was raised within {count(shifted.calls)} calls, and {wrong}: the audits did "
            f"not suffice to see it."
        )
    found = (
        f"the alarm came after {count(shifted.calls)} calls and {_audits(shift.alarm.audits)}, when "
        f"{wrong}. From then on the teacher answered"
    )
    after = _sum(shift, "after")
    end = {
        "confirmed": (
            f", until a student that learned from its answers took over: it answers "
            f"{_share(after.local, after.calls)} of calls at {_share(after.errors, after.local)} error "
            f"(promised: at most {level(max_risk)})."
        ),
        "taken back": "; the next student was tried on a share of the calls, and taken back.",
        "undecided": "; the next student has a share of the calls, and its audits are still too few.",
        None: "; no promise could be made for the next student, so it still does.",
    }[shift.canary]
    return found + end


def acts(shift: Shift, policy: Policy) -> list[Act]:
    """What happened, in order; the names are those of the marks in the drawing."""
    said = [Act("Shift", _planted(shift)), Act("Alarm", _alarm(shift, policy))]
    if shift.alarm is None:
        return said
    said.append(Act("Fallback", _fallback(shift)))
    if shift.retrained is None:
        return said
    said.append(Act("Next student", _retrained(shift.retrained)))
    if shift.canary is not None:
        said.append(Act("Canary", _canary(shift)))
    if shift.canary == "confirmed":
        said.append(Act("Afterwards", _after(shift, policy)))
    return said


def _planted(shift: Shift) -> str:
    before = _sum(shift, "before").calls
    return (
        f"After call {count(before)} the calls change: {shift.what}. The instructions are the same, so "
        f"no rule sends these calls to the teacher, and nobody is told."
    )


def _alarm(shift: Shift, policy: Policy) -> str:
    shifted = _sum(shift, "shifted")
    went = (
        f"The student answered {count(shifted.local)} of {count(shifted.calls)} changed calls by itself "
        f"and was wrong on {count(shifted.errors)} ({_share(shifted.errors, shifted.local)}). "
        f"{level(shift.audit_rate)} of its answers, drawn at random, are audited"
    )
    if shift.alarm is None:
        return f"{went}; these audits have not shown that the promise is broken."
    return (
        f"{went}: {_audits(shift.alarm.audits)}, of which {count(shift.alarm.errors)} found it wrong, "
        f"showed that more than {level(policy.max_risk)} are. Such an alarm is false in "
        f"{level(1 - policy.confidence)} of kept promises at most, however often one looks."
    )


def _fallback(shift: Shift) -> str:
    fallback = _sum(shift, "fallback")
    kept = (
        "the student answered none"
        if not fallback.local
        else f"the student answered {count(fallback.local)}"
    )
    return (
        f"Monitoring closed the policy, and the running gateway followed: of the next "
        f"{count(fallback.calls)} calls {kept}. The teacher was right on "
        f"{_share(fallback.right, fallback.calls)} of them, and its answers were recorded."
    )


def _retrained(made: Retrained) -> str:
    policy = made.policy
    learned = (
        f"The next {made.recipe} student was trained {made.how}, on {count(made.train_examples)} "
        f"calls: those from before and the teacher's answers since the shift. It is right on "
        f"{_share(made.right, made.n)} {span(made.interval)} of {count(made.n)} changed calls that it "
        f"never saw. "
    )
    if policy.threshold is None:
        return learned + (
            f"No threshold keeps at most {level(policy.max_risk)} wrong, so it got no policy and the "
            f"teacher goes on answering."
        )
    return learned + (
        f"At its threshold {count(policy.n_errors)} of {count(policy.n_accepted)} calibration calls were "
        f"wrong: with {level(policy.confidence)} confidence at most {level(policy.max_risk)} will be."
    )


def _canary(shift: Shift) -> str:
    canary = _sum(shift, "canary")
    looks = [one.look for one in shift.stretches if one.phase == "canary" and one.look]
    audits = looks[-1] if looks else None
    found = (
        f"It was offered {level(shift.share)} of the calls at first: of {count(canary.calls)} it answered "
        f"{count(canary.local)}, {count(canary.errors)} of those wrong. "
    )
    checked = (
        f"{_audits(audits.audits).capitalize()}, of which {count(audits.errors)} found it wrong"
        if audits
        else "No audit"
    )
    return (
        found
        + {
            "confirmed": f"{checked}, let it decide all calls.",
            "taken back": f"{checked}, closed it again.",
            "undecided": f"{checked}, are too few to decide.",
            None: "",
        }[shift.canary]
    )


def _after(shift: Shift, policy: Policy) -> str:
    after = _sum(shift, "after")
    where = "inside" if after.errors <= policy.max_risk * after.local else "above"
    return (
        f"Of {count(after.calls)} more calls it answered {count(after.local)} "
        f"({_share(after.local, after.calls)}) and was wrong on {count(after.errors)} "
        f"({_share(after.errors, after.local)} {span(clopper_pearson(after.errors, after.local))}), "
        f"{where} the promise of {level(policy.max_risk)}."
    )


def _sum(shift: Shift, phase: Phase) -> _Sum:
    mine = [one for one in shift.stretches if one.phase == phase]
    return _Sum(
        sum(one.calls for one in mine),
        sum(one.right for one in mine),
        sum(one.local for one in mine),
        sum(one.local_errors for one in mine),
    )


def _audits(number: int) -> str:
    return f"{count(number)} audit{'' if number == 1 else 's'}"


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "none"

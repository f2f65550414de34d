"""A planted shift: the inputs of a task change, and the promise has to look after itself.

Nothing is arranged but the change. Calls go through the gateway in mode `cascade`; after every few of
them monitoring reads the audits. When it calls the promise broken, the policy is closed, the teacher
answers, and its answers are what the next student learns from. That one is offered as a canary, which
its own audits confirm or take back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from limbeck.capture.sandbox.tasks import Item
from limbeck.curate.dataset import Dataset
from limbeck.demo.plan import ShiftPlan
from limbeck.demo.retrain import retrain
from limbeck.demo.run import Run
from limbeck.demo.traffic import Traffic, open_traffic
from limbeck.evaluate.promotion import close, confirm, promote, read_promotion
from limbeck.monitor.monitor import Monitoring
from limbeck.report.summary import Alarm, Calibration, Canary, Look, Phase, Shift, Stretch
from limbeck.types import Closing, Noun, Policy

SHIFT_SEED = 104_729
"""Added to the run's seed for the changed calls, so that they are other questions than before."""
BULK = 200
"""Calls between two notes of how far the teacher has come."""


class _Watched(Noun):
    stretches: tuple[Stretch, ...] = ()
    alarm: Alarm | None = None


class _Tried(Noun):
    stretches: tuple[Stretch, ...] = ()
    canary: Canary = "undecided"


def plant_shift(
    run: Run, calibration: Calibration, learned: Dataset, before: Sequence[Stretch]
) -> Shift | None:
    """Everything that follows the change; None where the plan or the task has none.

    `learned` is the dataset of the student that answers, and `before` are its calls so far.
    """
    plan, later = run.task.shift, run.sandbox.later
    if plan is None or later is None:
        return None
    stages, name = run.stages, run.name
    try:
        most = plan.most + plan.recorded
        watched = stages.run("shift", name, _Watched, lambda: _until_alarm(run, plan, before), most)
        retrained, tried = None, None
        if watched.alarm is not None:
            retrained = retrain(run, plan, calibration, learned, _mark(run))
            policy, student = retrained.policy, run.workspace.students / retrained.student
            if policy.threshold is not None:
                tried = stages.run(
                    "canary",
                    name,
                    _Tried,
                    lambda: _as_canary(run, plan, student, policy),
                    plan.most + plan.after,
                )
    finally:
        run.in_mode("record")
    return Shift(
        what=later.what,
        stretches=(*before, *watched.stretches, *(tried.stretches if tried else ())),
        alarm=watched.alarm,
        retrained=retrained,
        share=plan.share,
        canary=tried.canary if tried else None,
        audit_rate=calibration.policy.audit_rate,
    )


def _until_alarm(run: Run, plan: ShiftPlan, before: Sequence[Stretch]) -> tuple[_Watched, str]:
    """Changed calls until the promise is called broken, and through the same gateway those that the
    teacher answers from then on."""
    found = run.stages.part("shift", run.name, _Watched) or _Watched()
    known = before[-1].look if before else None
    with _changed(run, plan, found.stretches) as calls:
        while found.alarm is None and calls.asked("shifted") < plan.most:
            seen = calls.ask("shifted", plan.stretch)
            alarm = _alarm(run, seen, known)
            found = _Watched(stretches=tuple(calls.stretches), alarm=alarm)
            run.stages.keep_part("shift", run.name, found)
        while found.alarm is not None and calls.asked("fallback") < plan.recorded:
            calls.ask("fallback", BULK)
            found = _Watched(stretches=tuple(calls.stretches), alarm=found.alarm)
            run.stages.keep_part("shift", run.name, found)
        shifted, fallback = calls.asked("shifted"), calls.asked("fallback")
    if found.alarm is None:
        return found, f"no alarm within {shifted:,} changed calls"
    return found, (
        f"alarm after {shifted:,} changed calls and {found.alarm.audits:,} audits of them; the "
        f"teacher answered {fallback:,} more"
    )


def _alarm(run: Run, seen: Monitoring | None, known: Look | None) -> Alarm | None:
    """The alarm, with the policy closed, where the promise is called broken."""
    if seen is not None and seen.broken:
        _close(run, seen)
    promotion = read_promotion(run.workspace, run.name)
    if promotion is None or promotion.closed is None:
        return None
    closed = promotion.closed
    return Alarm(
        audits=closed.audits - (known.audits if known else 0),
        errors=closed.errors - (known.errors if known else 0),
        reason=closed.reason,
    )


def _close(run: Run, seen: Monitoring) -> None:
    audits = seen.audits
    reason = (
        f"{audits.errors:,} of {audits.n:,} audited answers were wrong, against a promise of at most "
        f"{audits.max_risk:.1%}"
    )
    closing = Closing(reason=reason, audits=audits.n, errors=audits.errors, at=seen.at)
    close(run.workspace, run.name, seen.policy, closing)


def _as_canary(run: Run, plan: ShiftPlan, student: Path, policy: Policy) -> tuple[_Tried, str]:
    """The new student's share of the calls until its audits have decided, and then some more."""
    promotion = read_promotion(run.workspace, run.name)
    if promotion is None or promotion.policy.id != policy.id:
        promote(run.workspace, student, policy, share=plan.share)
    found = run.stages.part("canary", run.name, _Tried) or _Tried()
    with _changed(run, plan, found.stretches, plan.most + plan.recorded) as calls:
        while found.canary == "undecided" and calls.asked("canary") < plan.most:
            seen = calls.ask("canary", plan.stretch)
            found = _Tried(stretches=tuple(calls.stretches), canary=_decided(run, seen))
            run.stages.keep_part("canary", run.name, found)
        while found.canary == "confirmed" and calls.asked("after") < plan.after:
            seen = calls.ask("after", plan.stretch)
            found = _Tried(stretches=tuple(calls.stretches), canary=_decided(run, seen))
            run.stages.keep_part("canary", run.name, found)
        note = f"{found.canary} after {calls.asked('canary'):,} calls"
    return found, note


def _decided(run: Run, seen: Monitoring | None) -> Canary:
    """What its audits make of the canary: it is closed where they speak against its promise, and decides
    all calls once enough of them do not."""
    if seen is not None and seen.broken:
        _close(run, seen)
    elif seen is not None:
        audits = seen.audits
        enough = audits.n >= seen.settings.canary_audits
        if enough and audits.errors <= audits.max_risk * audits.n:
            confirm(run.workspace, run.name, seen.policy)
    promotion = read_promotion(run.workspace, run.name)
    if promotion is None or promotion.closed is not None:
        return "taken back"
    return "confirmed" if promotion.share == 1 else "undecided"


# ---- changed calls ------------------------------------------------------------------------------


class _Calls:
    """Changed calls in their order; those of `stretches` were asked before."""

    def __init__(
        self,
        traffic: Traffic,
        items: Sequence[Item],
        keys: Sequence[str],
        stretches: Sequence[Stretch],
    ) -> None:
        self._traffic = traffic
        self._items = items
        self._keys = keys
        self.stretches = list(stretches)

    def asked(self, phase: Phase) -> int:
        return sum(one.calls for one in self.stretches if one.phase == phase)

    def ask(self, phase: Phase, calls: int) -> Monitoring | None:
        """Asks the next ones, and looks at the promise."""
        at = sum(one.calls for one in self.stretches)
        until = at + calls
        stretch, seen = self._traffic.stretch(phase, self._items[at:until], self._keys[at:until])
        self.stretches.append(stretch)
        return seen


@contextmanager
def _changed(
    run: Run, plan: ShiftPlan, stretches: Sequence[Stretch], first: int = 0
) -> Iterator[_Calls]:
    """The changed calls from the `first` on, through a gateway in mode `cascade`."""
    assert run.sandbox.later is not None
    total = 2 * plan.most + plan.recorded + plan.after
    # Room for the last stretch of each part, which may be longer than what was left of it.
    total += 2 * plan.stretch + BULK
    items = run.sandbox.generate(total, run.plan.seed + SHIFT_SEED, knobs=run.sandbox.later.knobs)
    keys = [f"{_mark(run)}{number}" for number in range(total)]
    done = sum(one.calls for one in stretches)
    with open_traffic(run, lambda n: run.stages.advance("calls", n, total), sent=done) as traffic:
        yield _Calls(traffic, items[first:], keys[first:], stretches)


def _mark(run: Run) -> str:
    """How the keys of the changed calls begin."""
    return f"shift-{run.name}-{run.plan.seed}-"

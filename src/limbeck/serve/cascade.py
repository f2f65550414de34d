"""Who answers: the student where its policy allows, else the teacher.

The decision is pure (`decide`); around it, the student is asked in a process of its own, so that
generation never stalls the event loop.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from limbeck.capture.skeleton import Division
from limbeck.errors import StudentError
from limbeck.evaluate.promotion import Standing, promotion_state, read_promotion, serving
from limbeck.evaluate.rule import confidence_of, threshold_of
from limbeck.evaluate.signals.marks import Marked
from limbeck.evaluate.signals.table import SIGNALS
from limbeck.models.call import Call
from limbeck.models.local import read_card
from limbeck.serve.decision import Decision
from limbeck.serve.setup import read_settings
from limbeck.serve.student_process import StudentProcess
from limbeck.serve.student_url import StudentAtUrl
from limbeck.types import Policy, Promotion, Task
from limbeck.workspace import Workspace

HIGH_STAKES = "the stakes are high: a student never answers alone"
"""Why a student's answer is a suggestion, and waits for a person."""

Ask = Callable[[str], Awaitable[Marked]]
"""Asks a student for its answer to an input."""


def refuse_unasked(policy: Policy, task: Task, call: Call, division: Division) -> str | None:
    """The hard rules that need no student: why the teacher must answer, or None."""
    if not call.plain:
        return "the call is not a single question in text"
    if not division.matched or division.skeleton != policy.skeleton:
        return "the instructions differ from those that the student learned"
    return None


def decide(policy: Policy, task: Task, marked: Marked, group: str | None = None) -> Decision:
    """The decision for a call that the student was asked; a pure function of its arguments, so that it
    can be made again from what the trace keeps."""

    def decided(local: bool, confidence: float | None, reason: str) -> Decision:
        return Decision(
            local,
            marked.answer,
            confidence,
            reason,
            policy.id,
            marked.signals,
            group if policy.grouped_by == "group" else None,
            policy.audit_rate,
            marked.tokens,
        )

    if marked.answer is None:
        return decided(False, None, "the student's answer is not in the task's form")
    confidence = float(confidence_of(policy, np.array([marked.signals]))[0])
    if task.stakes == "high":
        return decided(False, confidence, HIGH_STAKES)
    if policy.threshold is None:
        return decided(
            False, confidence, "no threshold kept the promise when the policy was fitted"
        )
    threshold = threshold_of(policy, marked.answer, group)
    if threshold is None:
        return decided(False, confidence, "nothing is promised for calls of this group")
    if confidence < threshold:
        return decided(False, confidence, "below the threshold")
    return decided(True, confidence, "above the threshold")


@dataclass(eq=False)
class Seat:
    """One student at work: its policy, the share of calls that it is asked, and whether the policy still
    is in force, which is looked at for every call."""

    policy: Policy
    ask: Ask
    stands: Callable[[], bool] = lambda: True
    share: float = 1.0
    close: Callable[[], None] = lambda: None


class Cascade:
    """Decides call by call. The students are loaded before the first call, and again when others are
    promoted."""

    def __init__(self, *seats: Seat, workspace: Workspace | None = None) -> None:
        """The promotions of `workspace` are taken over by `refresh`."""
        self._seats = {seat.policy.task: [seat] for seat in seats}
        self._workspace = workspace
        self._seen: dict[str, tuple[int, int] | None] = {}

    async def __call__(
        self, task: Task, call: Call, division: Division, group: str | None = None
    ) -> Decision:
        seats = self._seats.get(task.name, ())
        if not seats:
            return Decision(False, None, None, "no policy is promoted for this task")
        # The newest is first, and what it leaves is for the one before it.
        seat = next((seat for seat in seats if random.random() < seat.share), None)
        if seat is None:
            return Decision(False, None, None, "the canary was not drawn for this call")
        reason = refuse_unasked(seat.policy, task, call, division)
        if reason is not None:
            return Decision(False, None, None, reason, seat.policy.id)
        if not seat.stands():
            return Decision(False, None, None, "the policy was closed, or another one was promoted")
        return decide(seat.policy, task, await seat.ask(division.input), group)

    def refresh(self) -> None:
        """Take over what was promoted, confirmed or closed since; blocks while a student is loaded.

        Raises StudentError and ConfigError; what was in force before then stays, as far as it stands.
        """
        workspace = self._workspace
        for task in workspace.tasks() if workspace is not None else ():
            assert workspace is not None
            state = promotion_state(workspace, task.name)
            if state != self._seen.get(task.name):
                self._take_over(workspace, task)
                self._seen[task.name] = state

    def _take_over(self, workspace: Workspace, task: Task) -> None:
        before = {seat.policy.id: seat for seat in self._seats.get(task.name, ())}
        seats = []
        for promotion in serving(read_promotion(workspace, task.name)):
            seat = before.get(promotion.policy.id) or _open_seat(workspace, task, promotion)
            seat.share = promotion.share
            seats.append(seat)
        self._seats[task.name] = seats
        for seat in before.values():
            if seat not in seats:
                seat.close()

    def close(self) -> None:
        """End the students' processes."""
        for seats in self._seats.values():
            for seat in seats:
                seat.close()


def open_cascade(workspace: Workspace) -> Cascade:
    """The cascade of all tasks of a workspace that have a promoted student.

    Raises `StudentError` where a promoted student is gone, damaged, or no longer the one that its
    policy was fitted for: what was promised would not hold.
    """
    cascade = Cascade(workspace=workspace)
    cascade.refresh()
    return cascade


def _open_seat(workspace: Workspace, task: Task, promotion: Promotion) -> Seat:
    folder, policy = workspace.students / promotion.student_folder, promotion.policy
    if read_card(folder).id != policy.student or not set(policy.signals) <= set(SIGNALS):
        raise StudentError(
            f"the policy of the task {task.name!r} was not fitted for what {folder.name!r} is now; "
            f"run: limbeck calibrate {folder.name}, then: limbeck promote {folder.name}"
        )
    url = read_settings(workspace).students.get(task.name)
    student: StudentProcess | StudentAtUrl
    if url is None:
        student = StudentProcess(folder, policy, task)
    else:
        student = StudentAtUrl(url, read_card(folder), policy, task)
    return Seat(policy, student, Standing(workspace, policy), close=student.close)

"""Who answers: the student where its policy allows, else the teacher.

The decision is pure (`decide`); around it, calls that wait together are asked of the student together,
in a process of its own, so that generation never stalls the event loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from limbeck.capture.skeleton import Division
from limbeck.errors import StudentError
from limbeck.evaluate.promotion import Standing, promotion_state, read_promotion, serving
from limbeck.evaluate.rule import confidence_of, threshold_of
from limbeck.evaluate.signals.marks import Marked
from limbeck.evaluate.signals.table import SIGNALS
from limbeck.models.call import Call
from limbeck.models.local import read_card
from limbeck.serve.student_process import StudentProcess
from limbeck.types import Policy, Promotion, Task
from limbeck.workspace import Workspace

Ask = Callable[[Sequence[str]], list[Marked]]
"""Asks a student; may block."""

BATCH = 64
"""Calls that the student is asked at once, at most."""


@dataclass(frozen=True)
class Decision:
    """Who answers one call, and why. `answer` is the student's, in the task's form; `policy` is the id
    of the one that decided."""

    local: bool
    answer: str | None
    confidence: float | None
    reason: str
    policy: str | None = None
    signals: tuple[float, ...] = ()
    audit_rate: float = 0.0
    tokens: tuple[int, int] = (0, 0)


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
            policy.audit_rate,
            marked.tokens,
        )

    if marked.answer is None:
        return decided(False, None, "the student's answer is not in the task's form")
    confidence = float(confidence_of(policy, np.array([marked.signals]))[0])
    if task.stakes == "high":
        return decided(False, confidence, "the stakes are high: a student never answers alone")
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


@dataclass
class _Seat:
    """One student at work: its policy, the share of calls that it is asked, and those that wait for it."""

    policy: Policy
    ask: Ask
    share: float = 1.0
    close: Callable[[], None] | None = None
    waiting: list[tuple[str, asyncio.Future[Marked]]] = field(default_factory=list)
    busy: bool = False


class Cascade:
    """Decides call by call. The students are loaded before the first call, and again when others are
    promoted."""

    def __init__(
        self,
        seats: Mapping[str, tuple[Policy, Ask]],
        stands: Mapping[str, Callable[[], bool]] = MappingProxyType({}),
        workspace: Workspace | None = None,
    ) -> None:
        """`stands` says of a policy, by task, whether it still is in force; it is asked at every call.
        The promotions of `workspace` are taken over by `refresh`."""
        self._seats = {task: [_Seat(policy, ask)] for task, (policy, ask) in seats.items()}
        self._stands: dict[str, Callable[[], bool]] = {
            seats[task][0].id: stand for task, stand in stands.items()
        }
        self._workspace = workspace
        self._seen: dict[str, tuple[int, int] | None] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def __call__(self, task: Task, call: Call, division: Division) -> Decision:
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
        stands = self._stands.get(seat.policy.id)
        if stands is not None and not stands():
            return Decision(False, None, None, "the policy was closed, or another one was promoted")
        return decide(seat.policy, task, await self._said(seat, division.input))

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
            self._stands[promotion.policy.id] = Standing(workspace, promotion.policy)
            seats.append(seat)
        self._seats[task.name] = seats
        for seat in before.values():
            if seat not in seats:
                self._stands.pop(seat.policy.id, None)
                _close(seat)

    def close(self) -> None:
        """End the students' processes."""
        for seats in self._seats.values():
            for seat in seats:
                _close(seat)

    async def _said(self, seat: _Seat, text: str) -> Marked:
        answer: asyncio.Future[Marked] = asyncio.get_running_loop().create_future()
        seat.waiting.append((text, answer))
        if not seat.busy:
            seat.busy = True
            work = asyncio.create_task(self._serve(seat))
            # The event loop keeps only weak references to tasks.
            self._work.add(work)
            work.add_done_callback(self._work.discard)
        return await answer

    async def _serve(self, seat: _Seat) -> None:
        """Asks the student for all that wait, until nothing waits."""
        try:
            while seat.waiting:
                batch, seat.waiting = seat.waiting[:BATCH], seat.waiting[BATCH:]
                try:
                    said = await asyncio.to_thread(seat.ask, [text for text, _ in batch])
                    answered = list(zip(batch, said, strict=True))
                except Exception as error:  # noqa: BLE001 - each caller classifies and counts it
                    for _, answer in batch:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for (_, answer), one in answered:
                    if not answer.done():
                        answer.set_result(one)
        finally:
            seat.busy = False


def open_cascade(workspace: Workspace) -> Cascade:
    """The cascade of all tasks of a workspace that have a promoted student.

    Raises `StudentError` where a promoted student is gone, damaged, or no longer the one that its
    policy was fitted for: what was promised would not hold.
    """
    cascade = Cascade({}, workspace=workspace)
    cascade.refresh()
    return cascade


def _open_seat(workspace: Workspace, task: Task, promotion: Promotion) -> _Seat:
    folder, policy = workspace.students / promotion.student_folder, promotion.policy
    if read_card(folder).id != policy.student or not set(policy.signals) <= set(SIGNALS):
        raise StudentError(
            f"the policy of the task {task.name!r} was not fitted for what {folder.name!r} is now; "
            f"run: limbeck calibrate {folder.name}, then: limbeck promote {folder.name}"
        )
    student = StudentProcess(folder, policy, task)
    return _Seat(policy, student, close=student.close)


def _close(seat: _Seat) -> None:
    if seat.close is not None:
        seat.close()

"""Who answers: the student where its policy allows, else the teacher.

The decision is pure (`decide`); around it, calls that wait together are asked of the student together,
in one thread, so that generation never stalls the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from limbeck.capture.skeleton import Division
from limbeck.errors import StudentError
from limbeck.evaluate.promotion import Standing, read_promotion
from limbeck.evaluate.rule import confidence_of, threshold_of
from limbeck.evaluate.signals.asking import readings_for
from limbeck.evaluate.signals.reading import Reading
from limbeck.evaluate.signals.table import SIGNALS, read_signals
from limbeck.models.call import Call
from limbeck.models.local import Student, read_card
from limbeck.types import Policy, Task
from limbeck.verify.table import normalize
from limbeck.workspace import Workspace

Ask = Callable[[Sequence[str]], list[Reading]]

BATCH = 64
"""Calls that the student is asked at once, at most."""


@dataclass(frozen=True)
class Decision:
    """Who answers one call, and why. `answer` is the student's, in the task's form."""

    local: bool
    answer: str | None
    confidence: float | None
    reason: str


def refuse_unasked(policy: Policy | None, task: Task, call: Call, division: Division) -> str | None:
    """The hard rules that need no student: why the teacher must answer, or None."""
    if policy is None:
        return "no policy is promoted for this task"
    if policy.threshold is None:
        return "no threshold kept the promise when the policy was fitted"
    if task.stakes == "high":
        return "the stakes are high: a student never answers alone"
    if not call.plain:
        return "the call is not a single question in text"
    if not division.matched or division.skeleton != policy.skeleton:
        return "the instructions differ from those that the student learned"
    return None


def decide(policy: Policy, task: Task, reading: Reading, group: str | None = None) -> Decision:
    """The decision for a call that the student was asked; a pure function of its arguments."""
    said = reading.said.answer
    answer = normalize(task, said) if said is not None else None
    if answer is None:
        return Decision(False, None, None, "the student's answer is not in the task's form")
    signals = read_signals(replace(reading, answer=answer), policy.signals)
    confidence = float(confidence_of(policy, np.array([signals]))[0])
    threshold = threshold_of(policy, answer, group)
    if threshold is None:
        return Decision(False, answer, confidence, "nothing is promised for calls of this group")
    if confidence < threshold:
        return Decision(False, answer, confidence, "below the threshold")
    return Decision(True, answer, confidence, "above the threshold")


@dataclass
class _Seat:
    """One student at work: its policy, and the calls that wait for it."""

    policy: Policy
    ask: Ask
    waiting: list[tuple[str, asyncio.Future[Reading]]] = field(default_factory=list)
    busy: bool = False


class Cascade:
    """Decides call by call. The students are loaded once, before the first call."""

    def __init__(
        self,
        seats: Mapping[str, tuple[Policy, Ask]],
        stands: Mapping[str, Callable[[], bool]] = MappingProxyType({}),
    ) -> None:
        """`stands` says of a task whether its policy still is in force; it is asked at every call."""
        self._seats = {task: _Seat(policy, ask) for task, (policy, ask) in seats.items()}
        self._stands = stands
        self._work: set[asyncio.Task[None]] = set()

    async def __call__(self, task: Task, call: Call, division: Division) -> Decision:
        seat = self._seats.get(task.name)
        reason = refuse_unasked(seat.policy if seat else None, task, call, division)
        if seat is None or reason is not None:
            return Decision(False, None, None, reason or "no policy is promoted for this task")
        if task.name in self._stands and not self._stands[task.name]():
            return Decision(False, None, None, "the policy was closed, or another one was promoted")
        return decide(seat.policy, task, await self._said(seat, division.input))

    async def _said(self, seat: _Seat, text: str) -> Reading:
        answer: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
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
    seats: dict[str, tuple[Policy, Ask]] = {}
    stands: dict[str, Callable[[], bool]] = {}
    for task in workspace.tasks():
        promotion = read_promotion(workspace, task.name)
        if promotion is None or promotion.closed is not None:
            continue
        folder = workspace.students / promotion.student_folder
        policy = promotion.policy
        if read_card(folder).id != policy.student or not set(policy.signals) <= set(SIGNALS):
            raise StudentError(
                f"the policy of the task {task.name!r} was not fitted for what {folder.name!r} is now; "
                f"run: limbeck calibrate {folder.name}, then: limbeck promote {folder.name}"
            )
        # A small student answers fastest on few threads, and the gateway needs a core of its own.
        student = Student.load(folder, threads=max(1, (os.cpu_count() or 2) // 2))
        seats[task.name] = (policy, readings_for(policy, task, student))
        stands[task.name] = Standing(workspace, policy)
    return Cascade(seats, stands)

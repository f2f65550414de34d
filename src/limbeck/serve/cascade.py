"""Who answers: the student where its policy allows, else the teacher.

The decision is pure (`decide`); around it, calls that wait together are asked of the student together,
in one thread, so that generation never stalls the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from limbeck.capture.skeleton import Division
from limbeck.errors import ConfigError, StudentError
from limbeck.evaluate.calibrate import confidence_of
from limbeck.evaluate.signals import SIGNALS, read_signals
from limbeck.models.call import Call
from limbeck.models.local import Said, Student, read_card
from limbeck.types import Policy, Promotion, Task
from limbeck.verify.table import normalize
from limbeck.workspace import Workspace

Ask = Callable[[Sequence[str]], list[Said]]

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


def decide(policy: Policy, task: Task, said: Said) -> Decision:
    """The decision for a call that the student was asked; a pure function of its arguments."""
    answer = normalize(task, said.answer) if said.answer is not None else None
    if answer is None:
        return Decision(False, None, None, "the student's answer is not in the task's form")
    confidence = float(confidence_of(policy, np.array([read_signals(said)]))[0])
    if policy.threshold is None or confidence < policy.threshold:
        return Decision(False, answer, confidence, "below the threshold")
    return Decision(True, answer, confidence, "above the threshold")


@dataclass
class _Seat:
    """One student at work: its policy, and the calls that wait for it."""

    policy: Policy
    ask: Ask
    waiting: list[tuple[str, asyncio.Future[Said]]] = field(default_factory=list)
    busy: bool = False


class Cascade:
    """Decides call by call. The students are loaded once, before the first call."""

    def __init__(self, seats: Mapping[str, tuple[Policy, Ask]]) -> None:
        self._seats = {task: _Seat(policy, ask) for task, (policy, ask) in seats.items()}
        self._work: set[asyncio.Task[None]] = set()

    async def __call__(self, task: Task, call: Call, division: Division) -> Decision:
        seat = self._seats.get(task.name)
        reason = refuse_unasked(seat.policy if seat else None, task, call, division)
        if seat is None or reason is not None:
            return Decision(False, None, None, reason or "no policy is promoted for this task")
        return decide(seat.policy, task, await self._said(seat, division.input))

    async def _said(self, seat: _Seat, text: str) -> Said:
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
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


def promotion_path(workspace: Workspace, task: str) -> Path:
    return workspace.home / "policies" / f"{task}.json"


def read_promotion(workspace: Workspace, task: str) -> Promotion | None:
    """Which student serves the task, or None. Raises `ConfigError` for a damaged file."""
    path = promotion_path(workspace, task)
    try:
        return Promotion.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError):
        raise ConfigError(
            f"{path} is damaged; promote the student again: limbeck promote STUDENT"
        ) from None


def promote(workspace: Workspace, folder: Path, policy: Policy) -> Path:
    """Makes the student in `folder` the one that serves the policy's task; atomic.

    Raises `StudentError` where the policy was fitted for another student.
    """
    card = read_card(folder)
    if card.id != policy.student:
        raise StudentError(
            f"the policy was fitted for another student than {folder.name!r}; "
            f"fit one for it: limbeck calibrate {folder.name}"
        )
    path = promotion_path(workspace, policy.task)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    promotion = Promotion(student_folder=folder.name, policy=policy)
    partial.write_text(promotion.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def open_cascade(workspace: Workspace) -> Cascade:
    """The cascade of all tasks of a workspace that have a promoted student.

    Raises `StudentError` where a promoted student is gone, damaged, or no longer the one that its
    policy was fitted for: what was promised would not hold.
    """
    seats: dict[str, tuple[Policy, Ask]] = {}
    for task in workspace.tasks():
        promotion = read_promotion(workspace, task.name)
        if promotion is None:
            continue
        folder = workspace.students / promotion.student_folder
        policy = promotion.policy
        if read_card(folder).id != policy.student or policy.signals != tuple(SIGNALS):
            raise StudentError(
                f"the policy of the task {task.name!r} was not fitted for what {folder.name!r} is now; "
                f"run: limbeck calibrate {folder.name}, then: limbeck promote {folder.name}"
            )
        # A small student answers fastest on few threads, and the gateway needs a core of its own.
        student = Student.load(folder, threads=max(1, (os.cpu_count() or 2) // 2))
        seats[task.name] = (policy, student.ask)
    return Cascade(seats)

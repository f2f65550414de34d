"""What a student's process does: it reads calls, writes answers, and says what the policy needs of them.

One thread does it all, so that no step waits for another one's turn. Lines of JSON come and go:
`[number, input]` asks and `[number]` gives up; `[number, answer, signals, tokens]` answers and
`[number, "why"]` fails. The first line to go is null when the student is loaded, or why it is not.
"""

from __future__ import annotations

import json
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from limbeck.errors import LimbeckError
from limbeck.evaluate.rule import confidence_of
from limbeck.evaluate.signals.marks import Marked, mark, marking
from limbeck.evaluate.signals.reading import Reading
from limbeck.types import Policy, Task
from limbeck.verify.table import normalize

if TYPE_CHECKING:
    from limbeck.models.local import Student
    from limbeck.models.local.requests import Request, Wrote

BATCH = 64
"""Calls that are written together, at most."""


class Told(NamedTuple):
    """What became of a call: its marks, or why it has none."""

    number: int
    said: Marked | str


class Together:
    """Calls that share steps: each begins when it comes and leaves when it is done."""

    def __init__(self, policy: Policy, task: Task, student: Student) -> None:
        from limbeck.evaluate.signals.novelty import Novelty
        from limbeck.models.local.batch import Batch

        self._policy, self._task = policy, task
        self._novelty = Novelty.unpack(policy.novelty) if policy.novelty else None
        self._batch = Batch(student, most=BATCH)
        self._waiting: deque[tuple[_Call, Request, Callable[[Wrote], None]]] = deque()
        self._calls: dict[int, _Call] = {}
        self._told: list[Told] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or self._batch.busy

    def ask(self, number: int, text: str) -> None:
        from limbeck.models.local.requests import Request

        call = self._calls[number] = _Call(number, text)
        self._want(call, Request(text, pieces=False), lambda wrote: self._first(call, wrote))

    def forget(self, number: int) -> None:
        call = self._calls.get(number)
        if call is not None:
            self._tell(call, "nobody waits for it any more")

    def step(self) -> list[Told]:
        """Writes one more token of all; what is done by then."""
        while self._waiting and self._batch.open:
            self._begin(*self._waiting.popleft())
        if self._batch.busy:
            self._batch.step()
        told, self._told = self._told, []
        return told

    def _want(self, call: _Call, request: Request, then: Callable[[Wrote], None]) -> None:
        self._waiting.append((call, request, then))

    def _begin(self, call: _Call, request: Request, then: Callable[[Wrote], None]) -> None:
        if call.over:
            return
        future: Future[Wrote] = Future()
        call.writing.append(future)

        def done(future: Future[Wrote]) -> None:
            if call.over or future.cancelled():
                return
            failed = future.exception()
            if failed is not None:
                self._tell(call, _why(failed))
                return
            try:
                then(future.result())
            except Exception as error:  # noqa: BLE001 - the boundary of one call
                self._tell(call, _why(error))

        future.add_done_callback(done)
        self._batch.join(request, None, future)

    def _first(self, call: _Call, wrote: Wrote) -> None:
        """The greedy reply is there: more is asked only where that could change who answers."""
        said = wrote.said
        assert said is not None
        answer = said.answer and normalize(self._task, said.answer)
        reading = Reading(call.text, said, self._task, answer or None, (), self._novelty)
        marked = mark(self._policy, self._task, reading)
        if not left_open(self._policy, marked):
            self._tell(call, marked)
            return
        self._ask_more(call, reading)

    def _ask_more(self, call: _Call, reading: Reading) -> None:
        from limbeck.evaluate.signals.asking import TEMPERATURE
        from limbeck.models.local.requests import Request

        count, orders = self._policy.samples, "orders" in self._policy.signals
        samples: list[str | None] = []
        direct: list[str | None] = []

        def take(into: list[str | None]) -> Callable[[Wrote], None]:
            def then(wrote: Wrote) -> None:
                text = wrote.said.answer if wrote.said is not None else None
                into.append(None if text is None else normalize(self._task, text))
                if len(samples) == count and len(direct) == orders:
                    whole = replace(reading, samples=tuple(samples))
                    if orders:
                        whole = replace(whole, direct=direct[0])
                    self._tell(call, mark(self._policy, self._task, whole))

            return then

        for seed in range(1, count + 1):
            request = Request(call.text, temperature=TEMPERATURE, seed=seed, pieces=False)
            self._want(call, request, take(samples))
        if orders:
            request = Request(call.text, rationale="", pieces=False)
            self._want(call, request, take(direct))

    def _tell(self, call: _Call, said: Marked | str) -> None:
        call.over = True
        del self._calls[call.number]
        for future in call.writing:
            if not future.done():
                self._batch.forget(future)
        self._told.append(Told(call.number, said))


@dataclass(eq=False)
class _Call:
    number: int
    text: str
    writing: list[Future[Wrote]] = field(default_factory=list)
    over: bool = False


class InBatches:
    """Calls of a student that is asked twice: those that wait are written to their ends together."""

    def __init__(self, policy: Policy, task: Task, student: Student) -> None:
        from limbeck.evaluate.signals.asking import readings_for

        self._read = marking(policy, task, readings_for(policy, task, student))
        self._waiting: dict[int, str] = {}
        self._told: list[Told] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._told)

    def ask(self, number: int, text: str) -> None:
        self._waiting[number] = text

    def forget(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self._told.append(Told(number, "nobody waits for it any more"))

    def step(self) -> list[Told]:
        told, self._told = self._told, []
        numbers = list(self._waiting)[:BATCH]
        texts = [self._waiting.pop(number) for number in numbers]
        if not numbers:
            return told
        try:
            said: Sequence[Marked | str] = self._read(texts)
        except Exception as error:  # noqa: BLE001 - the boundary of one batch
            said = [_why(error)] * len(numbers)
        return [*told, *(Told(*pair) for pair in zip(numbers, said, strict=True))]


def left_open(policy: Policy, marked: Marked) -> bool:
    """Whether the signals for which a student has to be asked again could change who answers.

    They stand at 1 in `marked`. Where nothing that they may turn out to be makes a difference, the
    decision is what it would be with them, and nobody has to wait for them.
    """
    if marked.answer is None or policy.threshold is None:
        return False
    may_be: dict[str, Sequence[float]] = {
        "agreement": [at / policy.samples for at in range(policy.samples + 1)]
        if policy.samples
        else [1.0],
        "orders": [0.0, 1.0],
    }
    dear = [name for name in may_be if name in policy.signals]
    if not dear:
        return False
    rows = []
    for values in product(*(may_be[name] for name in dear)):
        row = list(marked.signals)
        for name, value in zip(dear, values, strict=True):
            row[policy.signals.index(name)] = value
        rows.append(row)
    confidence = confidence_of(policy, np.array(rows))
    bars = [rule.threshold for rule in policy.groups] if policy.grouped_by else [policy.threshold]
    passes = [confidence >= bar for bar in bars if bar is not None]
    return any(bool(one.any()) and not bool(one.all()) for one in passes)


def work(theirs: socket.socket, folder: Path, policy: Policy, task: Task, threads: int) -> None:
    """The process. It ends when the gateway's end of the sockets does."""
    import signal

    # The gateway decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with theirs:
        try:
            writer = _loaded(folder, policy, task, threads)
        except LimbeckError as error:
            theirs.sendall(json.dumps(str(error)).encode() + b"\n")
            return
        theirs.sendall(b"null\n")
        serve(theirs, writer)


def serve(theirs: socket.socket, writer: Together | InBatches) -> None:
    """Answers what is asked over a socket until its other end is closed."""
    lines = _Lines(theirs)
    while True:
        asked = lines.take(wait=not writer.busy)
        if asked is None:
            return
        for number, *text in map(json.loads, asked):
            if text:
                writer.ask(number, text[0])
            else:
                writer.forget(number)
        said = b"".join(map(_line, writer.step()))
        try:
            if said:
                theirs.sendall(said)
        except OSError:  # nobody is left to hear it
            return


def _loaded(folder: Path, policy: Policy, task: Task, threads: int) -> Together | InBatches:
    import gc

    from limbeck.models.local import Student

    student = Student.load(folder, threads=threads)
    ask = student.card.ask
    twice = ask.asker is not None or ask.again is not None
    writer = InBatches(policy, task, student) if twice else Together(policy, task, student)
    # The first of everything takes longer: that is not for a caller to wait for.
    writer.ask(0, "")
    while writer.busy:
        writer.step()
    # What is loaded by now stays: looking through it again would only make a call wait.
    gc.collect()
    gc.freeze()
    return writer


class _Lines:
    """The lines that have come over a socket."""

    def __init__(self, theirs: socket.socket) -> None:
        self._socket = theirs
        theirs.setblocking(True)
        self._rest = b""

    def take(self, *, wait: bool) -> list[bytes] | None:
        """Whole lines that are there, after waiting for some or not; None where no more will come."""
        lines: list[bytes] = []
        while True:
            if lines or not wait:
                ready, _, _ = select.select([self._socket], [], [], 0)
                if not ready:
                    return lines
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                return None
            *whole, self._rest = (self._rest + data).split(b"\n")
            lines += whole


def _line(told: Told) -> bytes:
    said: Any = told.said
    body = [told.number, said] if isinstance(said, str) else [told.number, *said]
    return json.dumps(body).encode() + b"\n"


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, LimbeckError) else f"{type(error).__name__}: {error}"

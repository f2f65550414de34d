"""A student in a process of its own: whether it hangs, crashes or fills its memory, the gateway goes on.

What passes between the two are lines of JSON over a pair of sockets: `limbeck.serve.student_work` says
which.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

from limbeck.errors import StudentError
from limbeck.evaluate.signals.marks import Marked
from limbeck.serve.student_work import work
from limbeck.types import Policy, Task

LOAD_S = 120.0
"""Seconds that a student may take to be loaded."""
ANSWER_S = 60.0
"""Seconds without a word from a student that was asked, after which its process is taken to hang and is
replaced."""


class StudentProcess:
    """Asks the student in `folder` for what the signals of `policy` need; for the calls of one event loop.

    Loads it at once. Raises StudentError where that fails. A process that ended or hangs is replaced by
    a new one at the next call.
    """

    def __init__(
        self, folder: Path, policy: Policy, task: Task, *, answer_s: float = ANSWER_S
    ) -> None:
        self._load = (folder, policy, task)
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._end: socket.socket | None = None
        self._wire: _Wire | None = None
        self._opening: asyncio.Task[_Wire] | None = None
        self._start()

    async def __call__(self, text: str) -> Marked:
        """The marks of the reply to `text`. Raises StudentError."""
        wire = self._wire
        if wire is None or wire.ended is not None:
            if self._opening is None or self._opening.done():
                self._opening = asyncio.create_task(self._open())
            # Whoever gives up waiting leaves the new process to the others.
            wire = await asyncio.shield(self._opening)
        return await wire.ask(text)

    def close(self) -> None:
        """End the process; from any thread."""
        if self._wire is not None:
            self._wire.close()
        with self._lock:
            self._stop()

    async def _open(self) -> _Wire:
        if self._wire is not None:
            await asyncio.to_thread(self._restart)
        end, self._end = self._end, None
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: _Wire(self._answer_s, self._kill), sock=end)
        self._wire = wire
        return wire

    def _restart(self) -> None:
        with self._lock:
            self._stop()
            self._start()

    def _start(self) -> None:
        # Forked, it would hold the gateway's sockets and locks.
        context = multiprocessing.get_context("spawn")
        # A small student answers fastest on few threads, and the gateway needs a core of its own.
        threads = max(1, (os.cpu_count() or 2) // 2)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = context.Process(
                target=work,
                args=(theirs, *self._load, threads),
                name="limbeck-student",
                daemon=True,
            )
            self._process.start()
        why = _first_word(ours)
        if why is not None:
            ours.close()
            self._stop()
            folder = str(self._load[0])
            raise StudentError(
                f"the student in {folder!r} cannot be loaded in a process of its own: {why}"
            )
        self._end = ours

    def _stop(self) -> None:
        self._kill()
        if self._process is not None:
            self._process.join()
        if self._end is not None:
            self._end.close()
        self._process = self._end = None

    def _kill(self) -> None:
        # An orderly end would wait for a process that hangs.
        if self._process is not None:
            self._process.kill()


def _first_word(ours: socket.socket) -> str | None:
    """None where the student is loaded, else why it is not."""
    ours.settimeout(LOAD_S)
    said = b""
    with contextlib.suppress(OSError):
        while not said.endswith(b"\n"):
            data = ours.recv(65536)
            if not data:
                return "the process ended before that; its error stands above"
            said += data
    ours.setblocking(False)
    if not said.endswith(b"\n"):
        return f"it took longer than {LOAD_S:g} seconds"
    return cast("str | None", json.loads(said))


class _Wire(asyncio.Protocol):
    """The gateway's end of the sockets to one process."""

    def __init__(self, answer_s: float, kill: Callable[[], None]) -> None:
        self._answer_s = answer_s
        self._kill = kill
        self._open: dict[int, asyncio.Future[Marked] | None] = {}
        """Every call that the student owes a word; None where nobody waits for it any more."""
        self._count = 0
        self._rest = b""
        self._heard = 0.0
        self._watching: asyncio.TimerHandle | None = None
        self.ended: str | None = None
        """Why nothing more can be asked, if so."""

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the connection with it
            self._loop.call_soon_threadsafe(self._transport.close)

    async def ask(self, text: str) -> Marked:
        if self.ended is not None:
            raise StudentError(self.ended)
        self._count += 1
        number = self._count
        if not self._open:
            self._heard = time.monotonic()
        future: asyncio.Future[Marked] = self._loop.create_future()
        self._open[number] = future
        self._transport.write(json.dumps([number, text]).encode() + b"\n")
        if self._watching is None:
            self._watching = self._loop.call_later(self._answer_s, self._watch)
        try:
            return await future
        finally:
            if number in self._open:
                self._open[number] = None
                self._transport.write(b"[%d]\n" % number)

    def _watch(self) -> None:
        """Ends a process that owes an answer and has said nothing for too long."""
        self._watching = None
        if not self._open or self.ended is not None:
            return
        left = self._heard + self._answer_s - time.monotonic()
        if left > 0:
            self._watching = self._loop.call_later(left, self._watch)
            return
        self._lose(f"the student was silent for {self._answer_s:g} seconds")
        self._kill()
        self._transport.abort()

    def _lose(self, why: str) -> None:
        self.ended = why
        waiting, self._open = list(self._open.values()), {}
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(StudentError(why))

    # -- the event loop calls these ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            number, *said = json.loads(line)
            future = self._open.pop(number, None)
            if future is None or future.done():
                continue
            if len(said) == 1:
                future.set_exception(StudentError(said[0]))
            else:
                answer, signals, tokens = said
                future.set_result(Marked(answer, tuple(signals), tuple(tokens)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self.ended is None:
            self._lose("the student's process has ended, most likely for want of memory")

"""A student in a process of its own: whether it hangs, crashes or fills its memory, the gateway goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from limbeck.errors import StudentError
from limbeck.evaluate.signals.marks import Marked, marking
from limbeck.types import Policy, Task

LOAD_S = 120.0
"""Seconds that a student may take to be loaded."""
ANSWER_S = 60.0
"""Seconds for a batch, after which its process is taken to hang and is replaced."""


class StudentProcess:
    """Asks the student in `folder` for what the signals of `policy` need. Safe for several threads.

    Loads it at once. Raises StudentError where that fails. A process that ended or hangs is replaced by
    a new one at the next call.
    """

    def __init__(
        self, folder: Path, policy: Policy, task: Task, *, answer_s: float = ANSWER_S
    ) -> None:
        self._load = (folder, policy, task)
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._start()

    def __call__(self, inputs: Sequence[str]) -> list[Marked]:
        """The marks of the replies to `inputs`, in their order. Raises StudentError."""
        with self._lock:
            pool = self._pool or self._start()
            try:
                return pool.submit(_ask, list(inputs)).result(self._answer_s)
            except BrokenProcessPool:
                self._stop()
                raise StudentError(
                    "the student's process has ended, most likely for want of memory"
                ) from None
            except TimeoutError:
                self._stop()
                raise StudentError(
                    f"the student was silent for {self._answer_s:g} seconds"
                ) from None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _start(self) -> ProcessPoolExecutor:
        # Forked, it would hold the gateway's sockets and locks.
        context = multiprocessing.get_context("spawn")
        # A small student answers fastest on few threads, and the gateway needs a core of its own.
        threads = max(1, (os.cpu_count() or 2) // 2)
        pool = ProcessPoolExecutor(1, context, _open, (*self._load, threads))
        try:
            pool.submit(_ready).result(LOAD_S)
        except (BrokenProcessPool, TimeoutError):
            _kill(pool)
            raise StudentError(
                f"the student in {str(self._load[0])!r} cannot be loaded in a process of its own; "
                "its error stands above"
            ) from None
        self._pool = pool
        return pool

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            _kill(pool)


def _kill(pool: ProcessPoolExecutor) -> None:
    # An orderly end would wait for a process that hangs.
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(OSError, ValueError):
            process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


# ---- in the process -----------------------------------------------------------------------------

_read = None


def _open(folder: Path, policy: Policy, task: Task, threads: int) -> None:
    import signal

    from limbeck.evaluate.signals.asking import readings_for
    from limbeck.models.local import Student

    global _read
    # The gateway decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_gateway, daemon=True).start()
    student = Student.load(folder, threads=threads)
    _read = marking(policy, task, readings_for(policy, task, student))


def _end_with_the_gateway() -> None:
    gateway = multiprocessing.parent_process()
    if gateway is not None:
        gateway.join()
        os._exit(0)


def _ready() -> bool:
    return _read is not None


def _ask(inputs: list[str]) -> list[Marked]:
    assert _read is not None
    return _read(inputs)

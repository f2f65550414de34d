"""Independent runs side by side, each in a process of its own with its share of the threads.

Small students use one core well and two cores badly, so that two runs side by side finish much sooner
than one after the other. Ctrl-C asks every run to save its state and end.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import Any

from limbeck.distill.allocator import preloaded
from limbeck.errors import Interrupted, LimbeckError

Job = Callable[..., Any]
"""A function of a module, called as `job(argument, report, should_stop, threads)`."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    job: Job,
    arguments: Sequence[Any],
    *,
    jobs: int = 0,
    on_event: Callable[[int, Any], None] = lambda index, event: None,
    on_result: Callable[[int, Any], None] = lambda index, result: None,
) -> list[Any]:
    """Calls `job` for each argument, `jobs` at a time (0: one a core), and returns the results.

    What a job hands to `report` reaches `on_event(index, event)` here. On Ctrl-C every job is asked
    to stop, what they save is waited for, and `Interrupted` is raised. The first error of a job stops
    the others and is raised.
    """
    if not arguments:
        return []
    jobs = min(jobs or cores(), len(arguments))
    threads = max(1, cores() // jobs)
    context = multiprocessing.get_context("spawn")
    events, stop = context.Queue(), context.Event()
    results: list[Any] = [None] * len(arguments)
    pool = ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_begin, initargs=(events, stop, threads)
    )
    with preloaded(), pool, _stopping(stop) as interrupted:
        futures: dict[Future[Any], int] = {
            pool.submit(_call, job, index, argument): index
            for index, argument in enumerate(arguments)
        }
        waiting = set(futures)
        failed: BaseException | None = None
        while waiting:
            done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
            for index, event in _drain(events):
                on_event(index, event)
            for future in done:
                error = future.exception() if not future.cancelled() else None
                if error is not None:
                    failed = (
                        failed
                        if failed is not None and not isinstance(failed, Interrupted)
                        else error
                    )
                    stop.set()
                elif not future.cancelled():
                    results[futures[future]] = future.result()
                    on_result(futures[future], results[futures[future]])
            if stop.is_set():
                for future in waiting:
                    future.cancel()
    # A worker may end before the last of what it reported has come through.
    for index, event in _drain(events):
        on_event(index, event)
    if interrupted.is_set():
        raise Interrupted(
            "stopped; what was finished is kept, and the same command continues from there"
        )
    if isinstance(failed, BrokenProcessPool):
        raise LimbeckError(
            "a worker process died, most likely for want of memory; run fewer at a time with --jobs 1"
        )
    if failed is not None:
        raise failed
    return results


@contextlib.contextmanager
def _stopping(stop: Event) -> Iterator[threading.Event]:
    """While it lasts, Ctrl-C sets `stop` instead of raising, so that workers can save their state."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def handle(*_: object) -> None:
        interrupted.set()
        stop.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _drain(events: Any) -> Iterator[tuple[int, Any]]:
    while True:
        try:
            yield events.get_nowait()
        except queue.Empty:
            return


# What a worker process was begun with; set once by `_begin`, before its first job.
_worker: dict[str, Any] = {}


def _begin(events: Any, stop: Event, threads: int) -> None:
    # The parent decides what Ctrl-C means; a worker that died of it would lose its state.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A worker whose parent was killed must not go on: its end of the queue's pipe tells.
    _worker.update(events=events, stop=stop, threads=threads, parent=os.getppid())


def _call(job: Job, index: int, argument: Any) -> Any:
    def report(event: Any) -> None:
        _worker["events"].put((index, event))

    def should_stop() -> bool:
        return bool(_worker["stop"].is_set()) or os.getppid() != _worker["parent"]

    try:
        return job(argument, report, should_stop, _worker["threads"])
    finally:
        if os.getppid() != _worker["parent"]:
            # Nobody takes the result; waiting for another job would be waiting for ever.
            os._exit(1)

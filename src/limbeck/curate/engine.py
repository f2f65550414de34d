"""Who does the work on the batches: this process, a pool of them, or a Ray cluster.

All do the same: they apply a pure function to every batch and give the results in the order of the
batches. What comes of a curation does not depend on who did it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Protocol, TypeVar

from limbeck.errors import ConfigError, DatasetError

A = TypeVar("A")
B = TypeVar("B")

ENGINES = ("local", "ray")
_AHEAD = 2
"""Batches that wait for each worker; more would only fill the memory."""
_ATTEMPTS = 3
"""How often a pool is started anew after a worker of it was killed."""
_SPAWNED = sys.platform == "win32"
"""Whether a worker is a process of its own from the start, because nothing can be forked."""
SHARED = ["limbeck.capture.reply", "scipy.sparse.csgraph"]
"""What takes longest to import, and is imported once for all workers. None of it starts threads, as
polars does: a process that has threads must not be forked."""
_COLLECTED = 100_000
"""How many more values than before there must be until a worker looks for circles among them."""


class Engine(Protocol):
    """`always` says that it works on a few batches too, which are else done in this process."""

    always: bool

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]: ...

    def prepare(self) -> None:
        """Start what takes time to start: there will be work."""

    def rest(self) -> None:
        """Give back what is held between two maps: there is something else to do."""

    def close(self) -> None: ...


class Here:
    """This process, one batch after the other."""

    always = False

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        return map(function, items)

    def prepare(self) -> None:
        pass

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


class Pool:
    """`workers` processes of this machine."""

    always = False

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        waiting: deque[tuple[A, Future[B]]] = deque()
        attempts = 0
        for item in _then_none(items):
            if item is not None:
                waiting.append((item[0], self._submit(function, item[0])))
            while waiting and (item is None or len(waiting) > _AHEAD * self._workers):
                try:
                    found = waiting[0][1].result()
                except BrokenProcessPool:
                    attempts += 1
                    if attempts >= _ATTEMPTS:
                        raise DatasetError(
                            f"a worker process was killed {attempts} times, most likely because "
                            f"there was too little memory; nothing was written; run the same "
                            f"command with --workers 1"
                        ) from None
                    self.close()
                    again = [one for one, _ in waiting]
                    waiting.clear()
                    waiting.extend((one, self._submit(function, one)) for one in again)
                    continue
                waiting.popleft()
                yield found

    def prepare(self) -> None:
        if not _SPAWNED:
            from multiprocessing import forkserver

            forkserver.set_forkserver_preload(SHARED)
            forkserver.ensure_running()

    def rest(self) -> None:
        # A worker at rest holds 100 MB and more, and another is there in a second.
        self.close()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _submit(self, function: Callable[[A], B], item: A) -> Future[B]:
        try:
            return self._started().submit(function, item)
        except BrokenProcessPool as error:
            broken: Future[B] = Future()
            broken.set_exception(error)
            return broken

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self.prepare()
            # Forking a process that has threads, as polars does, may hang.
            context = get_context("spawn" if _SPAWNED else "forkserver")
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=context, initializer=_one_thread
            )
        return self._pool


def open_engine(name: str, workers: int | None) -> Engine:
    """The engine of that name; `workers` is None for as many as there are processors.

    Raises ConfigError for a name that is none, and MissingExtraError where Ray is not installed.
    """
    if name == "ray":
        from limbeck.curate.on_ray import OnRay

        return OnRay()
    if name != "local":
        raise ConfigError(f"there is no engine {name!r}; wanted one of {', '.join(ENGINES)}")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers!r}; wanted at least 1")
    count = workers or processors()
    return Pool(count) if count > 1 else Here()


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # pragma: no cover - not on Linux


def _one_thread() -> None:
    # The workers share the processors among themselves; polars and the libraries under numpy read
    # these when they first compute.
    for name in ("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    # A batch makes many thousands of values that live until it ends; none of them are in a circle.
    gc.set_threshold(_COLLECTED)


def _then_none(items: Iterable[A]) -> Iterator[tuple[A] | None]:
    for item in items:
        yield (item,)
    yield None

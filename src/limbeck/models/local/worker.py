"""A student in a process of its own, so that writing never stalls who asks.

Whoever asks needs no model library: requests and replies are plain values. The worker ends when its
owner does.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from limbeck.errors import LimbeckError, StudentError
from limbeck.models.local.requests import Piece, Request, Wrote

JOIN_S = 10.0
"""Seconds that a worker has to end by itself."""


class Worker:
    """The owner's side of a student's process. Safe for calls from several threads."""

    def __init__(self, folder: Path, *, threads: int = 0, batch: int = 64) -> None:
        """Starts the process and waits until the student is loaded; raises `LimbeckError`."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, folder, threads, batch), name="limbeck-student", daemon=True
        )
        self._process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._count = 0
        self._open: dict[int, tuple[Future[Wrote], Callable[[Piece], None] | None]] = {}
        try:
            said = self._pipe.recv()
        except EOFError:
            said = StudentError("the student's process ended before the student was loaded")
        if isinstance(said, BaseException):
            self._process.join()
            raise said
        self.most_tokens: int = said
        """The longest row that the student can read and write, in tokens."""
        self._reader = threading.Thread(target=self._read, name="limbeck-replies", daemon=True)
        self._reader.start()

    def submit(
        self, request: Request | str, told: Callable[[Piece], None] | None = None
    ) -> Future[Wrote]:
        """A reply to come; `told` is called with each token, in a thread of this object's."""
        if isinstance(request, str):
            request = Request(request)
        future: Future[Wrote] = Future()
        with self._lock:
            self._count += 1
            number = self._count
            self._open[number] = (future, told)
            try:
                self._pipe.send((number, request, told is not None))
            except OSError:
                del self._open[number]
                raise _gone() from None
        future.add_done_callback(lambda done: self._cancel(number) if done.cancelled() else None)
        return future

    def _cancel(self, number: int) -> None:
        with self._lock:
            if self._open.pop(number, None) is not None:
                try:
                    self._pipe.send((number, None, False))
                except OSError:
                    return

    def _read(self) -> None:
        while True:
            try:
                number, said = self._pipe.recv()
            except (EOFError, OSError):
                break
            future, told = self._open.get(number, (None, None))
            if future is None:
                continue
            if isinstance(said, Piece):
                if told is not None:
                    told(said)
                continue
            with self._lock:
                self._open.pop(number, None)
            if future.set_running_or_notify_cancel():
                if isinstance(said, BaseException):
                    future.set_exception(said)
                else:
                    future.set_result(said)
        with self._lock:
            left, self._open = list(self._open.values()), {}
        for future, _ in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(_gone())

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def close(self) -> None:
        """Lets what is under way end, and the process with it."""
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(JOIN_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._reader.join()
        self._pipe.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _gone() -> StudentError:
    return StudentError(
        "the student's process has ended, most likely for want of memory; start it again, with a "
        "smaller batch"
    )


def _work(pipe: Connection, folder: Path, threads: int, batch: int) -> None:
    """The process: reads requests from the pipe until its other end is gone."""
    # The owner decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from limbeck.models.local.engine import Engine
    from limbeck.models.local.student import Student

    try:
        student = Student.load(folder, threads=threads)
        if student.card.ask.again is not None:
            # A first answer that was streamed already could not be taken back.
            raise StudentError(
                f"the student {folder.name!r} is asked again where its first answer is unsure, which "
                "replies that are written side by side cannot be; serve it through a gateway, or a "
                "student of another recipe here"
            )
    except LimbeckError as error:
        pipe.send(error)
        return
    pipe.send(student.decoder.most_tokens)
    engine, lock = Engine(student, batch=batch), threading.Lock()
    under_way: dict[int, Future[Wrote]] = {}

    def send(number: int, said: Any) -> None:
        with lock:
            try:
                pipe.send((number, said))
            except OSError:  # nobody is left to hear it
                return

    def finished(number: int) -> Callable[[Future[Wrote]], None]:
        def tell(future: Future[Wrote]) -> None:
            under_way.pop(number, None)
            if not future.cancelled():
                send(number, future.exception() or future.result())

        return tell

    while True:
        try:
            taken = pipe.recv()
        except EOFError:
            return
        if taken is None:
            engine.close()
            return
        number, request, streamed = taken
        if request is None:
            if number in under_way:
                engine.forget(under_way[number])
            continue

        def told(piece: Piece, number: int = number) -> None:
            send(number, piece)

        future = engine.submit(request, told if streamed else None)
        under_way[number] = future
        future.add_done_callback(finished(number))

"""What a gateway says while it runs: one JSON object a line, on standard error.

A line has `time`, `level`, `event` and `message`; what else it has belongs to the event. There is never a
key, a header or the content of a call in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

SPANS = "opentelemetry"
LOGGERS = ("limbeck", SPANS)
BURST = 5
"""Lines of one kind that are written in a window; the others of it are counted only."""
WINDOW_S = 10.0
QUEUED = 10_000
"""Lines that wait for a slow reader; beyond these they are dropped, and the next line says how many."""
CLOSE_S = 2.0
"""Seconds that a slow reader has at the end."""

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; the others are the fields of its event."""


class JsonLines(logging.Formatter):
    """One JSON object for a record.

    An exception is told by its type and its places in the code: its own words may quote a call.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _USUAL}
        unnamed = "spans" if record.name.startswith(SPANS) else "message"
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": fields.pop("event", unnamed),
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["where"] = _places(record.exc_info[2])
        return json.dumps(line, default=str)


class Storms(logging.Filter):
    """Lets `BURST` warnings and errors of one kind through in a window of `WINDOW_S` seconds.

    The first line after a window says in `left_out` how many were not written. Events of level `info`
    pass: a line for every call is what somebody asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind = str(getattr(record, "event", record.msg))
        begun, seen = self._windows.get(kind, (record.created, 0))
        left_out = 0
        if record.created - begun >= WINDOW_S:
            left_out = max(seen - BURST, 0)
            begun, seen = record.created, 0
        self._windows[kind] = (begun, seen + 1)
        if left_out:
            record.left_out = left_out
        return seen < BURST


class Lines(logging.Handler):
    """Writes in a thread of its own, so that a reader that stops reading holds up no call."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(QUEUED)
        self._dropped = 0
        # A daemon: a reader that never reads again must not keep the process.
        self._thread = threading.Thread(target=self._run, name="limbeck-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._dropped:
            record.dropped = self._dropped
        try:
            self._waiting.put_nowait(self.format(record))
            self._dropped = 0
        except queue.Full:
            self._dropped += 1
        except Exception:  # noqa: BLE001 - the boundary of logging: it fails no call
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for `CLOSE_S` seconds at most."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_S)
            self._thread.join(CLOSE_S)
        super().close()

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            with contextlib.suppress(OSError, ValueError):  # Nobody reads any more.
                self._stream.write(f"{line}\n")
                self._stream.flush()


@contextlib.contextmanager
def json_lines(stream: IO[str] | None = None) -> Iterator[None]:
    """While the context lasts, what Limbeck logs goes to `stream` (standard error) as JSON lines."""
    handler = Lines(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(Storms())
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()


def _places(traceback: Any) -> list[str]:
    """Where an exception came through, outermost first."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append(f"{Path(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return found

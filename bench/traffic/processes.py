"""Processes to measure: started, waited for, weighed and ended."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class DidNotStartError(Exception):
    """A process ended or stayed silent where it should have come up; says its last words."""


@contextlib.contextmanager
def started(
    command: Sequence[str],
    log: Path,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    talks: bool = True,
) -> Iterator[subprocess.Popen[str]]:
    """The command, running while the context lasts.

    What it says on standard error goes to `log`, and with `talks` False all that it says. The log
    is named after it.
    """
    with log.open("wb") as words:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            # A pipe that nobody reads would stop who writes into it.
            stdout=subprocess.PIPE if talks else words,
            stderr=words,
            cwd=cwd,
            env=dict(environ) if environ is not None else None,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def first_line(process: subprocess.Popen[str], log: Path) -> str:
    """What the process says first. Raises DidNotStartError where it ends without a word."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise DidNotStartError(f"{log.stem} ended: {last_words(log)}")
    return line


def wait_until_ready(
    process: subprocess.Popen[str], log: Path, port: int, path: str, timeout_s: float = 180
) -> None:
    """Until GET `path` is answered with 200. Raises DidNotStartError."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise DidNotStartError(f"{log.stem} ended: {last_words(log)}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
        time.sleep(0.2)
    raise DidNotStartError(f"{log.stem} did not answer GET {path} within {timeout_s:.0f} s")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def resident_mb(pid: int) -> float:
    """MB resident in a process and all below it. Shared pages count once for each process."""
    return round(sum(_stat(one)[21] for one in _family(pid)) * PAGE / 1e6, 1)


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time of a process and all below it that are alive."""
    return sum(sum(_stat(one)[11:13]) for one in _family(pid)) / TICKS


def _family(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        children.setdefault(_stat(pid)[1], []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _stat(pid: int) -> list[int]:
    """The fields of /proc/PID/stat that follow the name; zeros for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [0] * 50
    # The name in brackets may hold spaces; the state that follows it is no number.
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    # It began a group of its own: workers that outlive it, and itself if it will not end, go here.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()

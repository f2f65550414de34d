"""What a machine is, as far as its numbers depend on it, and how long its disk takes to be sure."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import limbeck
from traffic.window import Spread, spread

PAGE = b"\0" * 4096


def machine(folder: Path) -> dict[str, Any]:
    """The machine and the file system of `folder`; no names of hosts, persons or places."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": platform.system(),
        # What follows the numbers says who built the kernel.
        "kernel": platform.release().partition("-")[0],
        "filesystem": filesystem(folder),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of what does the work in ours, in the teacher and in the load generator."""
    libraries = {name: version(name) for name in ("uvloop", "httptools", "pydantic", "sqlalchemy")}
    return {
        "limbeck": limbeck.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **libraries,
    }


def filesystem(folder: Path) -> str:
    """The type of the file system that holds `folder`, as in `ext4`; `unknown` without /proc."""
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return "unknown"
    mounted = [line.split()[1:3] for line in lines]
    inside = [(place, kind) for place, kind in mounted if folder.is_relative_to(place)]
    # The last one mounted on the deepest place is the one in sight.
    return max(enumerate(inside), key=lambda one: (len(one[1][0]), one[0]))[1][1]


def fdatasync_ms(folder: Path, times: int = 50) -> Spread | None:
    """How long it takes until one page more is on disk: what a durable commit waits for."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(times):
            file.write(PAGE)
            began = time.perf_counter_ns()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter_ns() - began)
    return spread(taken)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()

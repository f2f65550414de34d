"""The demo's time by stage and its peak memory, as JSON.

    python bench/demo.py [--quick] [--runs 1] [--keep FOLDER] [--out bench/results/demo-default.json]

Each run starts from an empty folder. There is no peer to this: nothing else runs the same loop, so no
ratio is claimed; the numbers say what to expect on a machine like the one named in the result.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import limbeck


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--quick", action="store_true", help="measure `limbeck demo --quick`")
    options.add_argument("--runs", type=int, default=1)
    options.add_argument("--keep", type=Path, help="copy the last run's report to this folder")
    options.add_argument("--out", type=Path, default=None)
    given = options.parse_args()
    size = "quick" if given.quick else "default"
    out = given.out or Path(__file__).parent / "results" / f"demo-{size}.json"
    runs = [_run(given.quick, given.keep) for _ in range(given.runs)]
    result = {
        "what": f"limbeck demo, size {size}",
        "command": "python bench/demo.py" + (" --quick" if given.quick else ""),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": limbeck.__version__,
        "runs": runs,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(out)


def _run(quick: bool, keep: Path | None) -> dict[str, Any]:
    """One run in an empty folder: wall time, stages, memory of all its processes together."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "limbeck.cli.app", "demo", "--json", "--out", folder]
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, "--quick"] if quick else command, stdout=subprocess.PIPE, text=True
        )
        peak = _Peak(process.pid)
        printed, _ = process.communicate()
        seconds = time.monotonic() - began
        if process.returncode != 0:
            raise SystemExit(process.returncode)
        summary = json.loads(printed)
        if keep is not None:
            report = shutil.ignore_patterns("workspace-*")
            shutil.copytree(folder, keep, ignore=report, dirs_exist_ok=True)
    return {
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak.stop(),
        "largest_process_mb": summary["peak_memory_mb"],
        "machine": summary["machine"],
        "stages": summary["stages"],
        "calls": {task["task"]: task["capture"]["calls"] for task in summary["tasks"]},
        "accuracy": {
            task["task"]: {arm["recipe"]: arm["accuracy"] for arm in task["evaluation"]["arms"]}
            for task in summary["tasks"]
        },
        "shift": {
            task["task"]: _shift(task["shift"]) for task in summary["tasks"] if task["shift"]
        },
    }


def _shift(shift: dict[str, Any]) -> dict[str, Any]:
    """What happened when the calls changed, act by act."""
    acts: dict[str, dict[str, int]] = {}
    for stretch in shift["stretches"]:
        act = acts.setdefault(stretch["phase"], {})
        for name in ("calls", "right", "local", "local_errors"):
            act[name] = act.get(name, 0) + stretch[name]
    alarm, retrained = shift["alarm"], shift["retrained"]
    return {
        "acts": acts,
        "audits_until_alarm": alarm["audits"] if alarm else None,
        "next_student_right": retrained["right"] / retrained["n"] if retrained else None,
        "canary": shift["canary"],
    }


class _Peak:
    """The largest sum of resident memory over a process and all below it, sampled, in MB."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float | None:
        self._over.set()
        self._thread.join()
        return round(self._peak / 1e6, 1) if self._peak else None

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._peak = max(self._peak, _resident(self._pid))


def _resident(root: int) -> int:
    """Bytes resident in `root` and its descendants; 0 where the system has no /proc."""
    parents: dict[int, int] = {}
    pages: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The name in brackets may hold spaces; what follows the last bracket does not.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        pages[int(entry.name)] = int(fields[21])
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(pages.get(pid, 0) for pid in family) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

"""A curation of records that lie in Parquet files: how long each stage takes, and its memory.

Run by `bench/curation.py`, a process a run, so that the memory of one is not that of another.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import polars as pl

from limbeck.curate.curate import examine_records, write
from limbeck.curate.engine import open_engine
from limbeck.curate.settings import resolve_settings
from limbeck.store.records import Record
from refinery.chains import sandbox

PAGE = 512


def main() -> None:
    given = _options().parse_args()
    stages: list[tuple[str, float]] = []

    def progress(what: str, done: int) -> None:
        if not stages or stages[-1][0] != what:
            stages.append((what, time.perf_counter()))

    task = sandbox(given.task)
    settings = resolve_settings(task, {"duplicates": {"near": True, "per_input": 2}})
    with tempfile.TemporaryDirectory(dir=given.folder) as out, _Watch() as watch:
        began = time.perf_counter()
        engine = open_engine("local", given.workers)
        records = _records(given.folder, given.copies, given.records)
        with examine_records(
            records, task, settings, progress, None, Path(out), engine
        ) as examined:
            info = write(examined, Path(out), progress)
        ended = time.perf_counter()
        traces = info.summary.traces
    bounds = [*(at for _, at in stages[1:]), ended]
    print(
        json.dumps(
            {
                "seconds": ended - began,
                "traces": traces,
                "stages": {
                    name: until - (began if number == 0 else since)
                    for number, ((name, since), until) in enumerate(
                        zip(stages, bounds, strict=True)
                    )
                },
                "cpu_seconds": watch.cpu_seconds,
                "peak_memory_mb": watch.peak_mb,
                "kept": sum(info.splits.values()),
                "hash": info.hash,
            }
        )
    )


def _records(folder: Path, copies: int, most: int) -> Iterator[list[Record]]:
    """The records page by page; each further copy of them all asks something else."""
    left = most
    for copy in range(copies):
        for file in sorted(folder.glob("records-*.parquet")):
            table = pl.read_parquet(file)
            for part in table.iter_slices(PAGE):
                page = [_copied(Record(*row), copy) for row in part.head(left).iter_rows()]
                left -= len(page)
                if page:
                    yield page


def _copied(record: Record, copy: int) -> Record:
    if not copy:
        return record
    content = record.content.replace('"input":"', f'"input":"Book {copy}. ', 1)
    name = f"sha256:{sha256(content.encode()).hexdigest()}"
    outcomes = tuple(one.replace(record.trace_id, name) for one in record.outcomes)
    return record._replace(trace_id=name, content=content, outcomes=outcomes)


class _Watch:
    """The most memory that this process and those it started have had together, and what they have
    computed. Their share of the memory that they have in common counts once (PSS)."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._computed: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def cpu_seconds(self) -> float:
        """Seconds that all processes have computed, each as it was last seen."""
        return sum(self._computed.values())

    def _look(self) -> None:
        while not self._stop.wait(0.25):
            family = _family(os.getpid())
            self.peak_mb = max(self.peak_mb, sum(map(_pss_mb, family)))
            for pid in family:
                self._computed[pid] = max(_computed(pid), self._computed.get(pid, 0.0))


def _family(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:  # it ended in this moment
            continue
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _computed(pid: int) -> float:
    """Seconds of processor time that a process has taken; 0 for one that has ended."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="ledger")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--workers", type=int, default=None)
    return parser

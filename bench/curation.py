"""How fast curation is, beside distilabel and datatrove, and what a million traces cost.

    python bench/curation.py [--quick] [--records 100000] [--rounds 3] [--million 1000000] [--json]

The chains have about 600 characters (`refinery/chains.py`). In every round each pipeline runs once, in
an order that changes from round to round, each in processes of its own.

The peers do less. `ours` reads replies, runs every mechanical check, settles what is true, removes
exact and near duplicates of inputs and chains, splits, and writes a dataset with its card. distilabel
does a regular-expression filter and its MinHash step; datatrove its repetition filter and its four
MinHash steps. `checked` is the part of ours after the replies were read: all that the peers have a part
of. The peers get fewer records, because they take longer; records a second are compared.

The first run installs the peers into ~/.cache/limbeck-bench (some minutes, about 1 GB).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

import limbeck
from limbeck.curate.batches import RAW
from limbeck.store.rows import outcome_row
from refinery import chains, peers
from traffic.machine import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TASK = "ledger"
GOALS = {"records_per_second": 20_000, "ratio": 10, "million_memory_mb": 1536}
_FILE = 20_000
"""Records in one file."""


def main() -> None:
    given = _options().parse_args()
    quick = given.quick
    records = given.records or (5_000 if quick else 100_000)
    asked = {
        "records": records,
        "peer_records": given.peer_records or (1_000 if quick else 5_000),
        "rounds": given.rounds or (1 if quick else 3),
        "million": (0 if quick else 1_000_000) if given.million is None else given.million,
        "seed": 1,
    }
    out = given.out or RESULTS / ("curation-quick.json" if quick else "curation.json")
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        measured = _Measured(Path(name), asked, out)
        measured.all()
    result = measured.result()
    print(json.dumps(result if given.json else result["findings"], indent=1))
    if measured.failed:
        raise SystemExit("\n".join(f"{one['run']}: {one['reason']}" for one in measured.failed))


class _FailedError(Exception):
    """A process of the benchmark failed."""


class _Measured:
    """The runs so far. They are written after each, so that what fails late costs only itself."""

    def __init__(self, folder: Path, asked: dict[str, int], out: Path) -> None:
        self._folder = folder
        self._asked = asked
        self._out = out
        self._machine = machine(folder)
        self._runs: list[dict[str, Any]] = []
        self._growth: list[dict[str, Any]] = []
        self._million: dict[str, Any] | None = None
        self._skipped: list[str] = []
        self._whole = False
        self.failed: list[dict[str, str]] = []

    def all(self) -> None:
        """Every run in turn."""
        folder, asked = self._folder, self._asked
        _tell("making the chains")
        _write_records(folder, asked)
        sides: dict[str, Callable[[], dict[str, Any]]] = {
            "ours": lambda: _ours(folder, asked["records"])
        }
        try:
            python = peers.installed()
            for peer in ("distilabel", "datatrove"):
                sides[peer] = partial(_peer, python, peer, folder, asked["peer_records"])
        except peers.NotInstalledError as error:
            self._skipped.append(str(error))
        names = list(sides)
        for turn in range(asked["rounds"]):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                said = self._run(f"round {turn + 1}: {name}", sides[name])
                self._runs += [{"round": turn, "side": name, **said}] if said else []
        for size in (asked["records"] // part for part in (4, 2)):
            said = self._run(f"{size:,} records", partial(_ours, folder, size))
            self._growth += [{"side": "ours", **said}] if said else []
        if asked["million"]:
            copies = -(-asked["million"] // asked["records"])
            million = partial(_ours, folder, asked["million"], copies)
            self._million = self._run(f"{asked['million']:,} records", million)
        self._whole = True
        self._write()

    def _run(self, what: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        _tell(what)
        self._write()
        try:
            return run()
        except _FailedError as error:
            _tell(f"{what} failed")
            self.failed.append({"run": what, "reason": str(error)})
            return None

    def _write(self) -> None:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        half = self._out.with_suffix(".half")
        half.write_text(json.dumps(self.result(), indent=1) + "\n", encoding="utf-8")
        half.replace(self._out)

    def result(self) -> dict[str, Any]:
        """What was measured so far; `whole` says that nothing more was to come."""
        return {
            "at": datetime.now(UTC).date().isoformat(),
            "command": " ".join(["python bench/curation.py", *sys.argv[1:]]),
            "asked": self._asked,
            "machine": self._machine,
            "versions": {
                "limbeck": limbeck.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("polars", "numpy", "scipy", "pydantic")},
                **peers.VERSIONS,
            },
            "whole": self._whole,
            "failed": self.failed,
            "findings": _findings(self._runs, self._growth, self._million),
            "runs": self._runs,
            "growth": self._growth,
            "million": self._million,
            "skipped": self._skipped,
        }


def _findings(
    runs: list[dict[str, Any]],
    growth: list[dict[str, Any]],
    million: dict[str, Any] | None,
) -> dict[str, Any]:
    """Medians with their spread; ratios are taken within a round."""
    found: dict[str, Any] = {}
    ours = [run for run in runs if run["side"] == "ours"]
    if not ours:
        return found
    found["records_per_second"] = _spread([run["records_per_second"] for run in ours])
    found["checked_per_second"] = _spread([run["checked_per_second"] for run in ours])
    found["peak_memory_mb"] = _spread([run["peak_memory_mb"] for run in ours])
    found["cpu_us_a_record"] = _spread([run["cpu_seconds"] / run["traces"] * 1e6 for run in ours])
    for peer in sorted({run["side"] for run in runs} - {"ours"}):
        theirs = [run for run in runs if run["side"] == peer]
        found[peer] = _spread([run["records_per_second"] for run in theirs])
        pairs = [(one, other) for one in ours for other in theirs if one["round"] == other["round"]]
        if not pairs:
            continue
        for name in ("records_per_second", "checked_per_second"):
            ratios = [one[name] / other["records_per_second"] for one, other in pairs]
            found[f"{peer}_ratio_of_{name}"] = _spread(ratios)
    found["seconds_by_records"] = {
        str(run["traces"]): run["seconds"]
        for run in (*growth, *ours[-1:], *filter(None, [million]))
    }
    met = {
        "records_per_second": found["checked_per_second"]["median"] >= GOALS["records_per_second"]
    }
    ratios = [
        found[name]["median"] for name in found if name.endswith("ratio_of_checked_per_second")
    ]
    if ratios:
        met["ratio"] = min(ratios) >= GOALS["ratio"]
    if million is not None:
        met["million_memory_mb"] = million["peak_memory_mb"] <= GOALS["million_memory_mb"]
    return {**found, "goals": GOALS, "met": met}


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 2),
        "low": round(min(values), 2),
        "high": round(max(values), 2),
    }


def _write_records(folder: Path, asked: dict[str, int]) -> None:
    """The same chains as records of a store, and as the lines that the peers read."""
    held: list[tuple[str, str, list[str], None]] = []
    replies: list[str] = []
    files = 0
    rows = chains.rows(TASK, asked["records"], asked["seed"])
    for trace, outcome in chains.traces(TASK, rows):
        held.append((trace.id, trace.content, [outcome_row(outcome, "")["content"]], None))
        if len(replies) < asked["peer_records"]:
            replies.append(trace.raw or "")
        if len(held) == _FILE:
            files = _file(folder, files, held)
    if held:
        _file(folder, files, held)
    lines = [json.dumps({"text": text, "id": str(at)}) for at, text in enumerate(replies)]
    (folder / "lines").mkdir()
    workers = len(os.sched_getaffinity(0))
    for part in range(workers):
        own = "".join(line + "\n" for line in lines[part::workers])
        (folder / "lines" / f"{part}.jsonl").write_text(own, "utf-8")
    (folder / "lines.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")


def _file(folder: Path, number: int, held: list[Any]) -> int:
    table = pl.DataFrame(held, schema=RAW, orient="row")
    table.write_parquet(folder / f"records-{number:06}.parquet")
    held.clear()
    return number + 1


def _ours(folder: Path, records: int, copies: int = 1) -> dict[str, Any]:
    # Workers import the script that they are started by, which that of `limbeck` makes nothing of.
    script = "from refinery.ours import main; main()"
    given = ["--task", TASK, "--records", str(records), "--copies", str(copies)]
    said = _said([sys.executable, "-c", script, str(folder), *given])
    # Records are read while the first stage lasts; what follows is all that the peers do, and more.
    checked = said["seconds"] - said["stages"]["reading traces"]
    return {
        **said,
        "records_per_second": said["traces"] / said["seconds"],
        "checked_per_second": said["traces"] / checked,
    }


def _peer(python: Path, peer: str, folder: Path, records: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        source = folder / ("lines.jsonl" if peer == "distilabel" else "lines")
        target = Path(out) / "kept.jsonl" if peer == "distilabel" else Path(out)
        script = str(HERE / "refinery" / f"{peer}_side.py")
        said = _said([str(python), script, str(source), str(target)])
    return {**said, "records": records, "records_per_second": records / said["seconds"]}


def _said(command: list[str]) -> dict[str, Any]:
    """The last line that a process prints, which is JSON."""
    environ = {**os.environ, "PYTHONPATH": str(HERE)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if ended.returncode:
        raise _FailedError(
            f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr[-3000:]}"
        )
    said: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return said


def _tell(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--records", type=int)
    parser.add_argument("--peer-records", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--million", type=int, help="traces of the run for memory; 0 for none")
    parser.add_argument("--folder", type=Path, help="where the data are put; a few GB")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    main()

"""Is the promise kept? Students of which everything is known, calibrated 2,000 times each.

    python bench/promise.py [--quick] [--worlds telling,noise] [--jobs 2] [--json]
    python bench/promise.py --tables     those of docs/promise.md, from the result that is kept

Ten students, some badly calibrated and some with signals that mislead, are calibrated on sets of 500
and 2,000 calls. For each policy the error rate among the calls that it would answer is counted over
all calls of its world. Beside ours on the same calls: MAPIE's test, the largest coverage whose share
of errors on those calls is α, a fixed threshold, and a quantile as RouteLLM calibrates it. Then the
alarm of `limbeck monitor` runs over streams that keep a promise exactly, and over streams that break it.

MAPIE comes with: pip install 'limbeck[bench]'; without it its column is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
MAX_RISK, DELTA = 0.05, 0.05
SIZES = (500, 2000)
SEED = 20_26


def main() -> None:
    given = _options().parse_args()
    if given.tables:
        _tables()
        return
    # One thread a process: the fits are small, and threads that wait for each other are slower.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    began = time.monotonic()
    result = measure(given.worlds, given.quick, given.jobs)
    result["command"] = " ".join(["python bench/promise.py", *sys.argv[1:]])
    result["seconds"] = round(time.monotonic() - began, 1)
    from pledge.worlds import WORLDS

    whole = set(given.worlds) == set(WORLDS)
    usual = RESULTS / ("promise-quick.json" if given.quick else "promise.json") if whole else None
    out = given.out or usual
    text = json.dumps(result, indent=1)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    if given.json:
        print(text)
        return
    _show(result)
    if out is not None:
        print(out)


def _options() -> argparse.ArgumentParser:
    from pledge.worlds import WORLDS

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument(
        "--quick", action="store_true", help="a tenth of the runs; only for a look"
    )
    options.add_argument(
        "--worlds", type=lambda text: text.split(","), default=list(WORLDS), help="some of them"
    )
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    options.add_argument("--tables", action="store_true", help="print those of the documentation")
    options.add_argument("--out", type=Path, help="where the result is kept")
    return options


def measure(worlds: list[str], quick: bool, jobs: int) -> dict[str, Any]:
    """All numbers; the same for any number of processes."""
    from pledge.audits import detection, false_alarms, sequences
    from pledge.methods import PROMISES

    todo = [(name, n, quick) for n in SIZES for name in worlds]
    progress = Console(stderr=True)
    runs = []
    with progress.status("calibrating") as status, ProcessPoolExecutor(max(1, jobs)) as pool:
        for done, found in enumerate(pool.map(_one, todo), 1):
            runs.append(found)
            status.update(f"calibrated {done} of {len(todo)}")
        status.update("auditing")
        streams = 200 if quick else 2000
        audits = {
            "false_alarms": false_alarms(streams, DELTA, SEED),
            "detection": detection(max(100, streams // 2), DELTA, SEED),
            "interval": sequences(max(100, streams // 4), DELTA, SEED),
        }
    return {
        "question": "is the promised risk broken in at most δ of all calibrations, and how much "
        "is answered locally for it?",
        "max_risk": MAX_RISK,
        "delta": DELTA,
        "seed": SEED,
        "methods": PROMISES,
        "versions": _versions(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "runs": runs,
        "audits": audits,
    }


def _one(todo: tuple[str, int, bool]) -> dict[str, Any]:
    from pledge.methods import Plan, run
    from pledge.worlds import WORLDS

    name, n, quick = todo
    fits, bounds = (5, 40) if quick else (10, 200)
    plan = Plan(n, fits, bounds, MAX_RISK, DELTA, mapie=5 if quick else 20)
    return {"world": name, **run(WORLDS[name](), plan, SEED + n)}


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("limbeck", "numpy", "scipy", "scikit-learn", "mapie"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _tables() -> None:
    from pledge.tables import calibrations, detections, false_alarms

    result = json.loads((RESULTS / "promise.json").read_text(encoding="utf-8"))
    for table in (
        *(calibrations(result, n) for n in SIZES),
        false_alarms(result),
        detections(result),
    ):
        print(table, end="\n\n")


def _show(result: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 130)
    for n in SIZES:
        names = list(result["methods"])
        table = Table(box=None, title=f"broken of runs | coverage over the oracle's, n = {n:,}")
        table.add_column("student")
        table.add_column("oracle", justify="right")
        for name in names:
            table.add_column(name, justify="right")
        for one in result["runs"]:
            if one["n"] != n:
                continue
            cells = [_cell(one["methods"].get(name)) for name in names]
            table.add_row(one["what"], f"{one['oracle_coverage']:.1%}", *cells)
        console.print(table)
    for one in result["audits"]["false_alarms"]:
        console.print(
            f"alarm at {one['max_risk']:.0%}: {one['share']:.1%} of {one['streams']:,} streams of "
            f"{one['audits']:,} audits; a test without correction "
            f"{one['share_of_a_test_without_correction']:.0%}"
        )
    for one in result["audits"]["detection"]:
        console.print(
            f"jump to {one['jump_to']:.0%} (promised {one['max_risk']:.0%}) after "
            f"{one['audits_before']:,} audits: half within {one['audits_half']:,}, nine of ten within "
            f"{one['audits_nine_of_ten']:,}"
        )


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    share = "-" if found["of_oracle"] is None else f"{found['of_oracle']:.0%}"
    return f"{found['broken_share']:.1%} | {share}"


if __name__ == "__main__":
    main()

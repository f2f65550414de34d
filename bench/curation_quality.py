"""How well the checks of a curation tell what is wrong with a chain.

    python bench/curation_quality.py [--data FOLDER] [--calls 5000] [--out FILE]

Four questions. Are the simulated teacher's faults found, at 5, 37 and 60 % faulty calls, and are clean
chains left alone? Do the checks, without the true answer, tell right from wrong solutions of 13 models?
Are answers read as the publishers of five data sets read them? What of a falsified step, and of what
people think of an explanation, is told without a judge? The last three take the public data sets that
`--data` names; without it only the first is asked. There is no peer: no other tool checks chains.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import polars

import limbeck
from quality.extraction import extraction
from quality.judged import corrupted, votes
from quality.simulated import simulated
from quality.solutions import solutions

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--data", type=Path, help="the folder of the public data sets")
    options.add_argument("--calls", type=int, default=5000, help="simulated calls a task and rate")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=RESULTS / "curation-quality.json")
    given = options.parse_args()
    began = time.monotonic()
    result: dict[str, Any] = {
        "what": "precision and recall of the checks of a curation, and what they get wrong",
        "command": f"python bench/curation_quality.py --calls {given.calls} --seed {given.seed}"
        + (" --data FOLDER" if given.data else ""),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": limbeck.__version__,
        "libraries": {"polars": polars.__version__, "numpy": numpy.__version__},
        "cores": os.cpu_count(),
        "simulated": simulated(given.calls, given.seed),
    }
    result["goals"] = goals(result["simulated"])
    if given.data is not None:
        result["solutions"] = solutions(given.data)
        result["extraction"] = extraction(given.data)
        result["corrupted"] = corrupted(given.data)
        result["votes"] = votes(given.data)
    result["seconds"] = round(time.monotonic() - began, 1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(given.out)
    print(json.dumps(result["goals"], indent=1))


def goals(found: dict[str, Any]) -> dict[str, Any]:
    """The worst F1 of a fault's check, and the worst share of clean chains dropped, of all runs."""
    runs = [run for rates in found.values() for run in rates.values()]
    worst = {
        check: min(run["checks"][check]["f1"] for run in runs if "f1" in run["checks"][check])
        for check in runs[0]["checks"]
    }
    return {
        "f1_at_least_0.95": min(worst.values()) >= 0.95,
        "worst_f1": {check: round(f1, 4) for check, f1 in worst.items()},
        "false_drops_under_1_percent": max(run["false_drops"] for run in runs) < 0.01,
        "worst_false_drops": round(max(run["false_drops"] for run in runs), 5),
    }


if __name__ == "__main__":
    main()

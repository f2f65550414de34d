"""How long does a nano student from scratch take until 95 % of its answers on `refunds` are verified?

    python bench/time_to_accuracy.py [--seeds 3] [--steps 400] [--target 0.95] [--json]

The calls are of a simulated teacher without faults. Time runs from the start of the training, with the
tokenizer and every check on validation in it, to the first check that says the target; a seed whose
student does not reach it within the steps is counted as not reached. There is no peer: what a step costs
beside others is measured in `bench/training.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

import limbeck
from limbeck.distill.allocator import find_allocator
from limbeck.distill.workers import side_by_side
from pace.accuracy import Reached, Wanted, reach
from pace.work import dtype
from traffic.machine import machine

OUT = Path(__file__).parent / "results" / "time-to-accuracy.json"
GOAL_S = 45.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--steps", type=int, default=400, help="of a training, at most (400)")
    options.add_argument("--target", type=float, default=0.95)
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    options.add_argument("--out", type=Path, default=OUT)
    given = options.parse_args()
    found: list[Reached] = []
    with Console(stderr=True).status("starting") as status:
        for seed in range(given.seeds):
            status.update(f"refunds to {given.target:.0%}, seed {seed}")
            wanted = Wanted(seed=seed, target=given.target, steps=given.steps)
            # In a process of its own, as `limbeck distill` trains.
            found += side_by_side(reach, [wanted], jobs=1)
    result = {
        "what": "seconds until a nano student on refunds is right on a share of validation",
        "command": "python bench/time_to_accuracy.py",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(Path.cwd()),
        "versions": {
            "limbeck": limbeck.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers")},
        },
        "threads": len(os.sched_getaffinity(0)),
        "precision": str(dtype()).removeprefix("torch."),
        "allocator": allocator.name if (allocator := find_allocator()) else None,
        "steps": given.steps,
        "goal_seconds": GOAL_S,
        "met": all(one.seconds is not None and one.seconds <= GOAL_S for one in found),
        "runs": [one.model_dump() for one in found],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if given.json:
        print(json.dumps(result, indent=1))
        return
    for one in found:
        said = f"{one.seconds} s" if one.seconds is not None else f"not in {one.step} steps"
        print(f"seed {one.seed}: {said}, {one.accuracy:.1%} at step {one.step}")
    print(given.out)


if __name__ == "__main__":
    main()

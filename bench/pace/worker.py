"""A contestant in a process of its own: orders in by line, what they gave out by line.

python -m pace.worker CONTESTANT SHAPE
"""

from __future__ import annotations

import os
import sys
from typing import Protocol

from pace.work import Order, Pace, Shape


class Contestant(Protocol):
    def run(self, order: Order) -> Pace: ...


def contestant(name: str, shape: Shape) -> Contestant:
    if name.startswith("ours"):
        from pace.ours import Ours

        way = name.partition("-")[2] or "auto"
        return Ours(
            shape, way if way != "flex" else "auto", attention="flex" if way == "flex" else "auto"
        )
    if name.startswith("trl"):
        from pace.trl_side import Trl

        return Trl(shape, name.partition("-")[2] or "autocast")
    from pace.loops import Loop

    return Loop(shape, name)


def main() -> None:
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    name, shape = sys.argv[1], Shape.model_validate_json(sys.argv[2])
    made = contestant(name, shape)
    for line in sys.stdin:
        pace = measured(made, Order.model_validate_json(line))
        print(pace.model_dump_json(), file=answers, flush=True)


def measured(made: Contestant, order: Order) -> Pace:
    """A turn, with the peak of allocated memory where there is a GPU."""
    import torch

    if not torch.cuda.is_available():
        return made.run(order)
    torch.cuda.reset_peak_memory_stats()
    pace = made.run(order)
    peak = torch.cuda.max_memory_allocated() / 1e6
    torch.cuda.empty_cache()
    return pace.model_copy(update={"peak_memory_mb": round(peak, 1)})


if __name__ == "__main__":
    main()

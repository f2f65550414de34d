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

        return Ours(shape, {"ours": "auto", "ours-plain": "plain", "ours-tree": "tree"}[name])
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
        print(made.run(Order.model_validate_json(line)).model_dump_json(), file=answers, flush=True)


if __name__ == "__main__":
    main()

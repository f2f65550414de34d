"""How fast students are trained: ours, TRL, the scheme of Distilling Step-by-Step, a loop by hand.

    python bench/training.py [--rounds 3] [--seconds 3] [--peers ours,plain] [--json]

The same model (4 layers of 256), the same prompts and targets, the same number of targets a step, the
same precision (bfloat16 where the processor has it, else float32), the same threads and the same
allocator for all: tcmalloc or jemalloc is preloaded where one is installed
(`apt install libtcmalloc-minimal4`). In every round every contestant trains on every kind of data, in
an order that changes; the first round is thrown away and ratios are taken within a round. On a slow
or busy machine fewer rounds are run, so that it ends within `--minutes`. What is counted is supervised
target tokens a second: what a student learns from, not what was computed for it.

The first run installs TRL into ~/.cache/limbeck-bench.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import limbeck
from limbeck.distill.allocator import find_allocator
from pace.compare import Ratio, Turn, rates, ratios
from pace.peers import TRL, Peer, PeerFailedError
from pace.work import Cell, Order, Shape, dtype
from traffic.machine import machine

RESULTS = Path(__file__).parent / "results"
TRL_WAYS = ("autocast", "pure") if dtype() == torch.bfloat16 else ("float32",)
PEERS = ["ours", "ours-plain", "plain", "two-pass", *(f"trl-{way}" for way in TRL_WAYS)]
CELLS = [Cell(prompt=p, branches=b) for b in (1, 8) for p in (100, 400)]


def main() -> None:
    given = _options().parse_args()
    progress = Console(stderr=True)
    shape = Shape()
    threads = given.threads or len(os.sched_getaffinity(0))
    allocator = find_allocator()
    with progress.status("starting") as status:
        turns, skipped = _measure(given, shape, threads, allocator, status)
    found = ratios(turns)
    result = {
        "what": "supervised target tokens a second in training, interleaved with its peers",
        "command": " ".join(["python bench/training.py", *sys.argv[1:]]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(Path.cwd()),
        "versions": _versions(),
        "threads": threads,
        "precision": str(dtype()).removeprefix("torch."),
        "allocator": None if allocator is None else allocator.name,
        "shape": shape.model_dump(),
        "sequences_per_step": given.sequences,
        "rounds": max((turn.round for turn in turns), default=0),
        "seconds_per_turn": given.seconds,
        "ratios": [ratio.model_dump() for ratio in found],
        "target_tokens_per_second": rates(turns),
        "skipped": skipped,
        "turns": [turn.model_dump() for turn in turns],
    }
    whole = set(given.peers) == set(PEERS) and not given.only
    out = given.out or (RESULTS / "training.json" if whole else None)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if given.json:
        print(json.dumps(result, indent=1))
        return
    _show(turns, found)
    for one in skipped:
        print(f"{one['peer']} was not measured: {one['reason']}")
    if out is not None:
        print(out)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--rounds", type=int, default=3, help="that count (3); one more warms up")
    options.add_argument("--seconds", type=float, default=3.0, help="of each turn (3)")
    options.add_argument(
        "--minutes", type=float, default=12.0, help="no round begins that would end later (12)"
    )
    options.add_argument("--sequences", type=int, default=32, help="targets a step (32)")
    options.add_argument("--threads", type=int, default=0, help="0: one a core")
    options.add_argument("--peers", type=_listed, default=PEERS, help=f"some of {','.join(PEERS)}")
    names = [cell.name.replace(" ", "") for cell in CELLS]
    options.add_argument("--only", type=_listed, default=[], help=f"some of {','.join(names)}")
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    options.add_argument("--out", type=Path, help="where the result is kept")
    return options


def _listed(text: str) -> list[str]:
    return text.split(",")


def _measure(
    given: argparse.Namespace, shape: Shape, threads: int, allocator: Path | None, status: Any
) -> tuple[list[Turn], list[dict[str, str]]]:
    random = np.random.default_rng(0)
    cells = [c for c in CELLS if not given.only or c.name.replace(" ", "") in given.only]
    turns: list[Turn] = []
    skipped: list[dict[str, str]] = []
    with ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for name in given.peers:
            status.update(f"starting {name}")
            try:
                peer = Peer(name, shape, threads=threads, allocator=allocator)
            except PeerFailedError as error:
                skipped.append({"peer": name, "reason": str(error)})
                continue
            peers[name] = stack.enter_context(peer)
        began = time.monotonic()
        for number in range(given.rounds + 1):
            passed = time.monotonic() - began
            # The first round is the shortest: it tells at the least what another one takes.
            if number > 1 and passed * (1 + 1 / number) > 60 * given.minutes:
                break
            for cell in cells:
                for name in random.permutation(list(peers)).tolist():
                    status.update(f"round {number} of {given.rounds}: {cell.name} {name}")
                    seconds = given.seconds if number else min(1.0, given.seconds)
                    order = Order(cell=cell, seconds=seconds, sequences=given.sequences)
                    try:
                        pace = peers[name].run(order)
                    except PeerFailedError as error:
                        skipped.append({"peer": name, "reason": str(error)})
                        del peers[name]
                        continue
                    turns.append(Turn(round=number, cell=cell, peer=name, pace=pace))
    return turns, skipped


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "accelerate")
    return {
        "limbeck": limbeck.__version__,
        "python": platform.python_version(),
        "trl": TRL,
        **{name: version(name) for name in names},
    }


def _show(turns: list[Turn], found: list[Ratio]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("targets x prompt", "contestant", "tokens/s", "least to most")
    for cell, peers in rates(turns).items():
        for peer, rate in peers.items():
            spread = f"{rate['least']:,} to {rate['most']:,}"
            table.add_row(cell, peer, f"{rate['median']:,}", spread)
    console.print(table)
    table = Table("targets x prompt", "ours over", "ratio", "least to most", "goal")
    for one in found:
        goal = "" if one.goal is None else f"{one.goal:g} {'met' if one.met else 'missed'}"
        table.add_row(
            one.cell, one.peer, f"{one.median:.2f}", f"{one.least:.2f} to {one.most:.2f}", goal
        )
    console.print(table)


if __name__ == "__main__":
    main()

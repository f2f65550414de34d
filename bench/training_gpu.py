"""How fast students are trained on a GPU: ours beside TRL, at three sizes, full and with adapters.

    python bench/training_gpu.py [--sizes 125M,0.5B,1.5B] [--rounds 3] [--seconds 5] [--json]

Weights are random: speed does not depend on them. TRL runs padding-free with its packing and Liger
where they are installed, and plain. For each turn the peak of allocated memory is kept, and for ours
the share of the bfloat16 matrix rate that this GPU reached in a product of its own just before.
Needs one CUDA GPU; without one it says so and ends with status 3, so that it can stand in a script.
The first run installs TRL into ~/.cache/limbeck-bench.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import limbeck
from pace.compare import Turn, rates, ratios
from pace.peers import TRL, Peer, PeerFailedError
from pace.work import Cell, Order, Shape

OUT = Path(__file__).parent / "results" / "training-gpu.json"
NO_GPU = 3
SIZES = {
    "125M": Shape(layers=12, width=768, heads=12, hidden=2048, vocabulary=32_000),
    "0.5B": Shape(layers=24, width=1024, heads=16, hidden=4096, vocabulary=64_000),
    "1.5B": Shape(layers=28, width=1536, heads=12, hidden=8960, vocabulary=64_000),
}
CELLS = [Cell(prompt=p, branches=b) for b, p in ((1, 100), (8, 100), (8, 400))]
WAYS = ["ours", "ours-flex", "ours-plain", "trl-pure", "trl-packed"]


def main() -> None:
    import torch

    given = _options().parse_args()
    if not torch.cuda.is_available():
        print("bench/training_gpu.py needs a CUDA GPU, and there is none", file=sys.stderr)
        raise SystemExit(NO_GPU)
    peak = matrix_rate()
    sizes = []
    for size in given.sizes.split(","):
        for lora in (False, True):
            print(f"{size}{' with adapters' if lora else ''}", file=sys.stderr, flush=True)
            sizes.append({"size": size, "lora": lora, **_measure(SIZES[size], lora, given, peak)})
            _write(given, peak, sizes)
    if given.json:
        print(OUT.read_text(encoding="utf-8"))
        return
    for one in sizes:
        for ratio in one["ratios"]:
            print(one["size"], "lora" if one["lora"] else "full", ratio)
    print(given.out)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--sizes", default=",".join(SIZES), help=f"some of {','.join(SIZES)}")
    options.add_argument("--rounds", type=int, default=3, help="that count; one more warms up")
    options.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    options.add_argument("--sequences", type=int, default=64, help="targets a step")
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    options.add_argument("--out", type=Path, default=OUT, help="where the result is kept")
    return options


def matrix_rate(size: int = 8192, seconds: float = 1.0) -> float:
    """bfloat16 floating-point operations a second in one large product on this GPU."""
    import torch

    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        a @ b
        torch.cuda.synchronize()
        done += 1
    return 2.0 * size**3 * done / (time.perf_counter() - began)


def operations(shape: Shape, cell: Cell, targets: int) -> float:
    """Operations that a step must do for so many target tokens, forward and backward, with the prompt
    once for all its targets and the head on them alone; attention is left out."""
    layer = 4 * shape.width**2 + 3 * shape.width * shape.hidden
    tokens = targets * (1 + cell.prompt / (cell.branches * cell.target))
    return 6.0 * (tokens * shape.layers * layer + targets * shape.width * shape.vocabulary)


def _measure(shape: Shape, lora: bool, given: argparse.Namespace, peak: float) -> dict[str, Any]:
    random = np.random.default_rng(0)
    turns: list[Turn] = []
    skipped: list[dict[str, str]] = []
    with ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for name in WAYS:
            try:
                peer = Peer(name, shape, threads=8, allocator=None)
            except PeerFailedError as error:
                skipped.append({"peer": name, "reason": str(error)})
                continue
            peers[name] = stack.enter_context(peer)
        for number in range(given.rounds + 1):
            for cell in CELLS:
                for name in random.permutation(list(peers)).tolist():
                    order = Order(
                        cell=cell, seconds=given.seconds, sequences=given.sequences, lora=lora
                    )
                    try:
                        pace = peers[name].run(order)
                    except PeerFailedError as error:
                        skipped.append({"peer": name, "reason": str(error)})
                        del peers[name]
                        continue
                    turns.append(Turn(round=number, cell=cell, peer=name, pace=pace))
    shares = {
        f"{turn.cell.name} round {turn.round}": round(
            operations(shape, turn.cell, turn.pace.targets) / turn.pace.seconds / peak, 3
        )
        for turn in turns
        if turn.peer == "ours" and turn.round
    }
    return {
        "ratios": [ratio.model_dump() for ratio in ratios(turns)],
        "target_tokens_per_second": rates(turns),
        "share_of_matrix_rate": shares,
        "peak_memory_mb": _peaks(turns),
        "skipped": skipped,
        "turns": [turn.model_dump() for turn in turns],
    }


def _peaks(turns: list[Turn]) -> dict[str, float]:
    found: dict[str, float] = {}
    for turn in turns:
        name = f"{turn.cell.name} {turn.peer}"
        found[name] = max(found.get(name, 0.0), turn.pace.peak_memory_mb or 0.0)
    return found


def _write(given: argparse.Namespace, peak: float, sizes: list[dict[str, Any]]) -> None:
    """What there is so far: a run that is cut short keeps its sizes."""
    import torch

    result = {
        "what": "supervised target tokens a second in training on a GPU, beside TRL",
        "command": " ".join(["python bench/training_gpu.py", *sys.argv[1:]]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "gpu": torch.cuda.get_device_name(),
        "matrix_tflops_bf16": round(peak / 1e12, 1),
        "versions": {
            "limbeck": limbeck.__version__,
            "python": platform.python_version(),
            "trl": TRL,
            **{name: _version(name) for name in ("torch", "transformers", "liger-kernel")},
        },
        "sizes": sizes,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()

"""How fast students write: ours beside `generate` of transformers, turn by turn.

    python bench/decoding.py [--quick] [--rounds 8] [--only nano-1,micro-32] [--json]

Models of random weights in float32 (a nano and a micro preset, and the shape of a 0.5B model with fewer
tokens) write greedily after prompts of unequal length, alone and 32 at once. Both sides are made to
write to the end: no end token is known, so that they do the same work. In every round both write, in
an order that changes; the first round is thrown away, and ratios are taken within a round.

`ours` is what `Student.ask` runs; where it is the fused loop, `cached` is our loop that runs any model,
over the cache of transformers. Ours and `cached` also return the log-probability of every token and its
lead over the second; `generate` returns tokens alone. `same` counts the rows that both wrote alike: with
weights of chance two tokens may be level to the last bit, and such a row may differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

import limbeck
from limbeck.distill.students import PRESETS
from limbeck.models.local.cached import CachedRows
from limbeck.models.local.fused import Folded, FusedRows, foldable
from limbeck.models.local.loop import Line, Loop
from limbeck.models.local.rows import Prompt, Rows
from limbeck.types import Noun
from traffic.findings import Estimate, Goal, estimate
from traffic.machine import machine

RESULTS = Path(__file__).parent / "results"
SHAPES: dict[str, dict[str, int]] = {
    name: {
        "vocab_size": 2048,
        "hidden_size": preset.width,
        "intermediate_size": preset.hidden,
        "num_hidden_layers": preset.layers,
        "num_attention_heads": preset.heads,
        "num_key_value_heads": preset.heads,
    }
    for name, preset in PRESETS.items()
} | {
    "0.5B": {
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    }
}
TOKENS = {"nano": 64, "micro": 64, "0.5B": 12}
"""Tokens that every row writes: few where one costs a tenth of a second."""
PROMPT = {"nano": (40, 80), "micro": (40, 80), "0.5B": (8, 16)}
"""Lengths of the prompts: short where reading them would take longer than the writing."""
MOST_ROUNDS = {"0.5B": 3}
BATCHES = (1, 32)
GOALS = {"nano": 2.0, "micro": 2.0, "0.5B": 1.0}

Ids = list[list[int]]
Write = Callable[[Ids, int], Ids]


class Finding(Noun):
    """One way of writing in one cell: tokens a second, and how many times `generate`'s that is."""

    cell: str
    way: str
    tokens_a_second: Estimate
    times_generate: Estimate | None
    same: str
    """Rows that came out as `generate` wrote them, of all."""


def main() -> None:
    given = _options().parse_args()
    torch.set_num_threads(given.threads or len(os.sched_getaffinity(0)))
    # What transformers says about sampling settings of a model without any is no news here.
    warnings.filterwarnings("ignore")
    progress = Console(stderr=True)
    cells = [f"{name}-{batch}" for name in SHAPES for batch in BATCHES]
    chosen = [cell for cell in cells if cell in given.only] if given.only else cells
    if given.quick:
        chosen = [cell for cell in chosen if not cell.startswith("0.5B")]
    rounds = given.rounds or (2 if given.quick else 8)
    turns: list[dict[str, Any]] = []
    with progress.status("starting") as status:
        for name in SHAPES:
            mine = [cell for cell in chosen if cell.rpartition("-")[0] == name]
            if mine:
                status.update(f"making {name}")
                turns += _measure(name, mine, rounds, status.update)
    found = _findings(turns)
    reached = _goals(found)
    result = {
        "what": "tokens a second in greedy decoding, float32, interleaved with generate",
        "command": " ".join(["python bench/decoding.py", *sys.argv[1:]]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(Path.cwd()),
        "versions": {
            "limbeck": limbeck.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers")},
        },
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "seed": 0,
        "findings": [one.model_dump(mode="json") for one in found],
        "goals": [one.model_dump(mode="json") for one in reached],
        "turns": turns,
    }
    usual = RESULTS / ("decoding-quick.json" if given.quick else "decoding.json")
    out = given.out or (usual if not given.only else None)
    text = json.dumps(result, indent=1)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    if given.json:
        print(text)
    else:
        _show(Console(width=None if sys.stdout.isatty() else 120), found, reached)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two rounds, no 0.5B shape")
    parser.add_argument("--rounds", type=int, default=None, help="rounds that count")
    parser.add_argument("--threads", type=int, default=0, help="0: one a core")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="CELLS")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    return parser


def make(name: str) -> PreTrainedModel:
    """A Llama-type model of a shape, with weights of chance large enough that its tokens vary."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        **SHAPES[name],
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "eos_token_id": None,
        "bos_token_id": None,
    }
    model: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**shape))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    model.train(False)
    return model


def _measure(
    name: str, cells: Sequence[str], rounds: int, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    model = make(name)
    ways: dict[str, Write] = {"generate": lambda ids, room: by_generate(model, ids, room)}
    if foldable(model):
        folded = Folded(model)
        ways["ours"] = lambda ids, room: by_rows(FusedRows(folded), ids, room)
        ways["cached"] = lambda ids, room: by_rows(CachedRows(model, 0), ids, room)
    else:
        ways["ours"] = lambda ids, room: by_rows(CachedRows(model, 0), ids, room)
    room = TOKENS[name]
    rounds = min(rounds, MOST_ROUNDS.get(name, rounds))
    turns = []
    for cell in cells:
        asked = prompts(name, int(cell.rpartition("-")[2]))
        for number in range(rounds + 1):
            tell(f"{cell}, round {number} of {rounds}")
            order = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
            seconds, wrote = {}, {}
            for way in order:
                began = time.perf_counter()
                wrote[way] = ways[way](asked, room)
                seconds[way] = time.perf_counter() - began
            if number:
                tokens = len(asked) * room
                turns.append(
                    {
                        "cell": cell,
                        "round": number,
                        "tokens_a_second": {way: tokens / seconds[way] for way in ways},
                        "same": {
                            way: sum(map(list.__eq__, wrote[way], wrote["generate"]))
                            for way in ways
                        },
                        "rows": len(asked),
                    }
                )
    return turns


def prompts(name: str, count: int) -> Ids:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(*PROMPT[name], (count,), generator=generator).tolist()
    return [torch.randint(2, 2048, (one,), generator=generator).tolist() for one in lengths]


def by_generate(model: PreTrainedModel, asked: Ids, room: int) -> Ids:
    width = max(map(len, asked))
    ids = torch.zeros(len(asked), width, dtype=torch.long)
    seen = torch.zeros_like(ids)
    for row, one in enumerate(asked):
        ids[row, width - len(one) :] = torch.tensor(one)
        seen[row, width - len(one) :] = 1
    with torch.inference_mode():
        wrote: Any = model.generate(  # type: ignore[operator]  # a mixin that mypy cannot see
            ids, attention_mask=seen, do_sample=False, max_new_tokens=room, min_new_tokens=room
        )
    return [[int(token) for token in row] for row in wrote[:, width:]]


def by_rows(rows: Rows, asked: Ids, room: int) -> Ids:
    lines = [Line(Prompt(tuple(one[:-1]), (one[-1],)), frozenset(), room) for one in asked]
    with torch.inference_mode():
        loop = Loop(rows)
        loop.join(lines)
        while loop.live:
            loop.step()
    return [[token.id for token in line.written] for line in lines]


def _findings(turns: Sequence[dict[str, Any]]) -> list[Finding]:
    found = []
    for cell in dict.fromkeys(turn["cell"] for turn in turns):
        mine = [turn for turn in turns if turn["cell"] == cell]
        for way in mine[0]["tokens_a_second"]:
            rates = [turn["tokens_a_second"][way] for turn in mine]
            peers = [turn["tokens_a_second"]["generate"] for turn in mine]
            rate = estimate(rates)
            assert rate is not None
            found.append(
                Finding(
                    cell=cell,
                    way=way,
                    tokens_a_second=rate,
                    times_generate=(
                        estimate([a / b for a, b in zip(rates, peers, strict=True)])
                        if way != "generate"
                        else None
                    ),
                    same=f"{min(turn['same'][way] for turn in mine)} of {mine[0]['rows']}",
                )
            )
    return found


def _goals(found: Sequence[Finding]) -> list[Goal]:
    goals = []
    for one in found:
        if one.way == "ours" and one.times_generate is not None:
            wanted = GOALS[one.cell.rpartition("-")[0]]
            times = one.times_generate
            goals.append(
                Goal(
                    goal=f"{one.cell}: times generate",
                    wanted=f"at least {wanted:g}",
                    got=times.median,
                    interval=(times.low, times.high),
                    met=times.median >= wanted,
                )
            )
    return goals


def _show(console: Console, found: Sequence[Finding], reached: Sequence[Goal]) -> None:
    table = Table("cell", "way", title="tokens a second, median over rounds", title_justify="left")
    for heading in ("tokens/s", "times generate", "same rows"):
        table.add_column(heading, justify="right")
    for one in found:
        rate, times = one.tokens_a_second, one.times_generate
        table.add_row(
            one.cell,
            one.way,
            f"{rate.median:,.0f} [{rate.least:,.0f}, {rate.most:,.0f}]",
            f"{times.median:.2f} [{times.low:.2f}, {times.high:.2f}]" if times else "",
            one.same,
        )
    console.print(table)
    for goal in reached:
        print(
            f"{goal.goal}: wanted {goal.wanted}, got {goal.got}: {'met' if goal.met else 'missed'}"
        )


if __name__ == "__main__":
    main()

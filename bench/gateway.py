"""What the gateway costs: ours with durable capture, LiteLLM, nginx and no gateway, interleaved.

    python bench/gateway.py [--quick] [--rounds 6] [--seconds 3] [--peers ours,litellm] [--json]

A mock teacher, a load generator and the gateways run side by side on this machine, each gateway with
one worker. In every round every peer is put under every load, in an order that changes from round to
round; the first round is thrown away, and ratios are taken within a round.

The peers do unequal work. `direct` is the teacher alone. `nginx` passes on and writes nothing down.
`litellm` is LiteLLM's proxy without any logging, over whichever of its endpoints is the faster here.
`off` is ours for a task of mode `off`: it passes on. `ours` has every call on disk before the last
byte of its reply leaves; after each load the store is counted.

The first run installs LiteLLM into ~/.cache/limbeck-bench (some minutes, about 1 GB).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.types import Noun
from traffic.findings import Finding, Goal, findings, goals
from traffic.litellm import CACHE
from traffic.machine import fdatasync_ms, machine, versions
from traffic.peers import NAMES, Peer, all_of, teacher
from traffic.processes import DidNotStartError
from traffic.rounds import Bench, Plan
from traffic.scenarios import SCENARIOS
from traffic.table import show

RESULTS = Path(__file__).parent / "results"
FILES = 8192
"""Open files for each process: a thousand streams take two thousand sockets."""


def main() -> None:
    given = _options().parse_args()
    quick = given.quick
    plan = Plan(
        scenarios=[one for one in SCENARIOS if not given.only or one.name in given.only],
        rounds=given.rounds or (2 if quick else 6),
        seconds=given.seconds or (1.0 if quick else 3.0),
        stream_every_ms=100 if quick else 250,
    )
    _allow_files()
    progress = Console(stderr=True)
    with progress.status("starting") as status:
        try:
            result, found, reached = _measure(plan, given.peers, given.folder, status.update)
        except DidNotStartError as error:
            raise SystemExit(f"error: {error}") from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None
    result["command"] = " ".join(["python bench/gateway.py", *sys.argv[1:]])
    # A part of the measurement must not stand where the whole is looked for.
    whole = not given.only and set(given.peers) == set(NAMES)
    usual = RESULTS / ("gateway-quick.json" if quick else "gateway.json") if whole else None
    out = given.out or usual
    text = json.dumps(result, indent=1)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    if given.json:
        print(text)
        return
    # A pipe has no width; a table that is cut off would say less than it should.
    console = Console(width=None if sys.stdout.isatty() else 120)
    show(console, found, reached)
    for one in result["skipped"]:
        print(f"{one['peer']} was not measured: {one['reason']}")
    if out is not None:
        print(out)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--quick", action="store_true", help="2 rounds of 1 s; only for a look")
    options.add_argument("--rounds", type=int, help="rounds that count (6); one more warms up")
    options.add_argument("--seconds", type=float, help="of each load (3)")
    options.add_argument(
        "--peers", type=_listed(NAMES), default=list(NAMES), help=f"some of {','.join(NAMES)}"
    )
    scenarios = [one.name for one in SCENARIOS]
    options.add_argument("--only", type=_listed(scenarios), help=f"some of {','.join(scenarios)}")
    options.add_argument(
        "--folder", type=Path, default=CACHE, help="where the store lies while it is measured"
    )
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    options.add_argument("--out", type=Path, help="where the result is kept")
    return options


def _listed(known: Any) -> Any:
    def names(text: str) -> list[str]:
        asked = text.split(",")
        wrong = [name for name in asked if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not one of {', '.join(known)}")
        return asked

    return names


def _measure(
    plan: Plan, names: list[str], place: Path, say: Callable[[str], None]
) -> tuple[dict[str, Any], list[Finding], list[Goal]]:
    """The result, and of it the two parts that are shown. Raises DidNotStartError."""
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as made:
        folder = Path(made)
        before = {
            "what": "requests through a gateway to a mock teacher, interleaved with its peers",
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(folder),
            "versions": versions(),
            "rounds": plan.rounds,
            "seconds_per_load": plan.seconds,
            "fdatasync_ms": _dumped(fdatasync_ms(folder, 200)),
        }
        say("starting the peers (the first time, LiteLLM is installed)")
        with teacher(folder) as (port, _), all_of(names, folder, port) as (peers, skipped):
            bench = Bench(folder, peers, plan, say)
            endpoints = bench.choose_endpoints()
            turns = bench.turns()
            ours = next((peer for peer in peers if peer.name == "ours"), None)
            memory = bench.memory(ours) if ours is not None else None
            stored = bench.store_bytes() if ours is not None else None
    found = findings(turn for turn in turns if turn.round > 0)
    reached = goals(found, turns, memory)
    after = {
        "peers": [_shown(peer) for peer in peers],
        "skipped": [{"peer": one.name, "reason": one.reason} for one in skipped],
        "endpoints_requests_per_second": endpoints,
        "goals": [goal.model_dump() for goal in reached],
        "memory": _dumped(memory),
        "store": _store(stored),
        "loads": {one.name: one.what for one in plan.scenarios},
        "findings": [_dumped(one) for one in found],
        "turns": [_dumped(turn) for turn in turns],
    }
    return {**before, **after}, found, reached


def _dumped(noun: Noun | None) -> dict[str, Any] | None:
    return noun.model_dump(exclude_none=True) if noun is not None else None


def _shown(peer: Peer) -> dict[str, Any]:
    return {"peer": peer.name, "version": peer.version, "rest_mb": peer.rest_mb}


def _store(stored: tuple[int, int] | None) -> dict[str, float] | None:
    if stored is None:
        return None
    traces, size = stored
    return {"traces": traces, "mb": round(size / 1e6, 1), "bytes_per_trace": size // max(traces, 1)}


def _allow_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()

"""What a cascade costs and gains: a nano student in the gateway, calls at a steady rate, capture on.

    python bench/cascade.py [--workspace DEMO] [--rate 100] [--seconds 10] [--rounds 3] [--latency 0.5]

Questions of the sandbox task `refunds` that no student has seen arrive at random moments, so many a second
on average, whether or not earlier ones are answered. In every round the same questions go to the teacher by
way of the plain gateway (mode `record`) and to the cascade, in an order that changes from round to round.
The teacher is simulated, and takes `--latency` seconds to answer; its price is that of the task file.

Without --workspace the student is made first, by `limbeck demo --tasks refunds --recipes label` (about two
minutes).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import urllib3

import limbeck
from limbeck.capture.reply import read_reply
from limbeck.capture.sandbox.tasks import Item, load
from limbeck.evaluate.intervals import clopper_pearson
from limbeck.evaluate.promotion import read_promotion
from limbeck.models.dialects.anthropic import read_reply as read_message
from limbeck.models.dialects.anthropic import write_request
from limbeck.models.prices import cost_usd
from limbeck.serve.running import running
from limbeck.types import Task
from limbeck.verify.table import judge
from limbeck.workspace import Workspace
from traffic.machine import machine

RESULTS = Path(__file__).parent / "results" / "cascade.json"
TASK = "refunds"
GOAL_S = 0.2
MODES = ("record", "cascade")
THREADS = 256


class Asked(NamedTuple):
    """One call as its client saw it."""

    number: int
    seconds: float
    status: int
    local: bool
    right: bool
    usd: float


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument(
        "--workspace", type=Path, help="a demo's workspace with a promoted student"
    )
    options.add_argument("--rate", type=float, default=100.0, help="calls a second")
    options.add_argument("--seconds", type=float, default=10.0, help="seconds of each load")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--latency", type=float, default=0.5, help="seconds of the teacher")
    options.add_argument("--out", type=Path, default=RESULTS)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = given.workspace or _made(Path(folder))
        result = _measure(Workspace.find(root), given)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["summary"], indent=1))


def _made(folder: Path) -> Path:
    """A workspace with a promoted student of the task."""
    line = ["demo", "--tasks", TASK, "--recipes", "label", "--out", str(folder / "demo"), "--json"]
    subprocess.run(
        [sys.executable, "-m", "limbeck.cli.app", *line], check=True, stdout=subprocess.DEVNULL
    )
    return next(path.parent for path in (folder / "demo").rglob("limbeck.toml"))


def _measure(workspace: Workspace, given: argparse.Namespace) -> dict[str, Any]:
    promotion = read_promotion(workspace, TASK)
    if promotion is None:
        sys.exit(f"no student is promoted for {TASK} in {workspace.root}; run without --workspace")
    task = workspace.task(TASK)
    number = int(given.rate * given.seconds)
    items = load(TASK).generate(number * given.rounds, seed=90_001)
    rounds = []
    for at in range(given.rounds):
        asked = {}
        for mode in MODES if at % 2 == 0 else MODES[::-1]:
            workspace.write_task(task.model_copy(update={"mode": mode}))
            with _gateway(workspace, given.latency, mode) as url:
                some = items[at * number : (at + 1) * number]
                asked[mode] = _load(url, task, some, given.rate, seed=at)
        rounds.append({mode: _numbers(asked[mode]) for mode in MODES} | _pair(asked))
    workspace.write_task(task)
    policy = promotion.policy
    return {
        "what": "calls through a cascade at a steady rate, beside the same calls to the teacher",
        "command": "python bench/cascade.py",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": limbeck.__version__,
        "machine": machine(workspace.root),
        "settings": {
            "task": TASK,
            "rate_per_s": given.rate,
            "seconds": given.seconds,
            "teacher_latency_s": given.latency,
            "max_risk": policy.max_risk,
            "confidence": policy.confidence,
            "audit_rate": policy.audit_rate,
        },
        "summary": _summary(rounds),
        "rounds": rounds,
    }


@contextmanager
def _gateway(workspace: Workspace, latency_s: float, mode: str) -> Iterator[str]:
    teacher = {"tasks": [TASK], "seed": 1, "latency_s": latency_s}
    with running("limbeck.capture.sandbox.server:create_app", teacher) as upstream:
        settings = {
            "upstreams": {"anthropic": {"base_url": upstream.url}},
            "say_who_answered": True,
        }
        answerer = "limbeck.serve.cascade:open_cascade" if mode == "cascade" else None
        arguments = {"workspace": str(workspace.root), "settings": settings, "answerer": answerer}
        with running("limbeck.serve.gateway:open_gateway", arguments) as gateway:
            yield gateway.url


def _load(url: str, task: Task, items: Sequence[Item], rate: float, seed: int) -> list[Asked]:
    """Asks every item at its moment, whether or not earlier ones are answered."""
    draw = random.Random(seed)
    pool = urllib3.PoolManager(maxsize=THREADS, retries=False)
    with ThreadPoolExecutor(THREADS) as threads:
        for item in items[:20]:  # connections, caches and the student are warm afterwards
            _ask(pool, url, task, item, -1)
        began, at, calls = time.perf_counter(), 0.0, []
        for number, item in enumerate(items):
            at += draw.expovariate(rate)
            time.sleep(max(0.0, began + at - time.perf_counter()))
            calls.append(threads.submit(_ask, pool, url, task, item, number))
        return [call.result() for call in calls]


def _ask(pool: urllib3.PoolManager, url: str, task: Task, item: Item, number: int) -> Asked:
    body = write_request(model=task.teacher.model, system=task.instruction, user=item.input)
    began = time.perf_counter()
    response = pool.request("POST", f"{url}/t/{TASK}/v1/messages", json=body)
    seconds = time.perf_counter() - began
    local = response.headers.get("x-limbeck-answered-by") == "student"
    if response.status != 200:
        return Asked(number, seconds, response.status, local, False, 0.0)
    reply = read_message(response.json())
    answer = read_reply(task, reply.text, reply.thinking).answer
    right = answer is not None and judge(task, answer, item.truth).score == 1.0
    usd = 0.0 if local else cost_usd(task.teacher.model, reply.usage, task.teacher.price) or 0.0
    return Asked(number, seconds, response.status, local, right, usd)


def _numbers(asked: Sequence[Asked]) -> dict[str, Any]:
    good = [one for one in asked if one.status == 200]
    local = [one for one in good if one.local]
    found: dict[str, Any] = {
        "calls": len(asked),
        "failed": len(asked) - len(good),
        "right": sum(one.right for one in good),
        "usd": round(sum(one.usd for one in good), 6),
        "local": len(local),
        "local_wrong": sum(not one.right for one in local),
    }
    for name, some in (
        ("local", local),
        ("teacher", [one for one in good if not one.local]),
        ("all", good),
    ):
        times = [one.seconds for one in some]
        for share in (50, 95, 99):
            found[f"{name}_p{share}_s"] = (
                round(float(np.percentile(times, share)), 5) if times else None
            )
    return found


def _pair(asked: dict[str, list[Asked]]) -> dict[str, Any]:
    """What a call that is handed on to the teacher waits longer than by way of the plain gateway."""
    plain = {one.number: one for one in asked["record"] if one.status == 200}
    added = [
        one.seconds - plain[one.number].seconds
        for one in asked["cascade"]
        if one.status == 200 and not one.local and one.number in plain
    ]
    return {"escalated_adds_p50_s": round(float(np.median(added)), 5) if added else None}


def _summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def total(mode: str, key: str) -> float:
        return float(sum(one[mode][key] for one in rounds))

    def spread(mode: str, key: str) -> list[float]:
        return sorted(one[mode][key] for one in rounds if one[mode][key] is not None)

    local, wrong = int(total("cascade", "local")), int(total("cascade", "local_wrong"))
    calls = int(total("cascade", "calls"))
    interval = clopper_pearson(wrong, local)
    p99 = spread("cascade", "local_p99_s")
    return {
        "local_share": round(local / calls, 4),
        "local_wrong_share": round(wrong / local, 4) if local else None,
        "local_wrong_interval": [round(interval.low, 4), round(interval.high, 4)],
        "accuracy": round(total("cascade", "right") / calls, 4),
        "accuracy_of_the_teacher_alone": round(
            total("record", "right") / total("record", "calls"), 4
        ),
        "usd_per_1000": round(1000 * total("cascade", "usd") / calls, 4),
        "usd_per_1000_of_the_teacher_alone": round(
            1000 * total("record", "usd") / total("record", "calls"), 4
        ),
        "local_p50_s": spread("cascade", "local_p50_s"),
        "local_p99_s": p99,
        "escalated_adds_p50_s": sorted(
            one["escalated_adds_p50_s"] for one in rounds if one["escalated_adds_p50_s"] is not None
        ),
        "failed": int(total("cascade", "failed") + total("record", "failed")),
        "goal_local_p99_under_0.2_s": bool(p99) and p99[-1] < GOAL_S,
    }


if __name__ == "__main__":
    main()

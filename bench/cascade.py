"""What a cascade costs and gains: nano students in the gateway, calls at a steady rate, capture on.

    python bench/cascade.py [--workspace DEMO] [--rate 100] [--seconds 6] [--rounds 3] [--latency 0.5]

Questions of the sandbox task `refunds` that no student has seen arrive at random moments, so many a second
on average, whether or not earlier ones are answered. In every round the same questions go to the teacher by
way of the plain gateway (mode `record`) and to a cascade with each student, in an order that changes from
round to round. The teacher is simulated, takes `--latency` seconds to answer, and never refuses or stalls;
what it says is wrong as often as in the demo. Its price is that of the task file.

Two students show the range: one that thinks first writes about sixty tokens a call, one that answers at once
about six. The second is worse at this task, and is promised a risk of 0.2 instead of 0.05, so that there is
something to measure. The goal is the first one's, where it is measured; whether each reaches it is said.

Without --workspace the students are made first, by `limbeck demo` (about two minutes).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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
from limbeck.evaluate.policy_file import read_policy
from limbeck.evaluate.promotion import promote, read_promotion
from limbeck.models.dialects.anthropic import read_reply as read_message
from limbeck.models.dialects.anthropic import write_request
from limbeck.models.local import read_card
from limbeck.models.prices import cost_usd
from limbeck.serve.running import Running, running
from limbeck.types import Policy, Task
from limbeck.verify.table import judge
from limbeck.workspace import Workspace
from traffic.machine import machine
from traffic.processes import cpu_seconds

RESULTS = Path(__file__).parent / "results" / "cascade.json"
TASK = "refunds"
GOAL_S = 0.2
PLAIN = "record"
RISKS = {"think-first": "0.05", "label": "0.2"}
"""Recipes of the students, and the risk that each is promised."""
NO_TROUBLE = {"http_429": 0.0, "http_529": 0.0, "slow": 0.0}
"""A refused or slowed call would say something of the teacher, not of the cascade."""
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
    options.add_argument("--seconds", type=float, default=6.0, help="seconds of each load")
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
    """A workspace with a student of each recipe, and a policy for each."""
    out = str(folder / "demo")
    _run("demo", "--tasks", TASK, "--recipes", ",".join(RISKS), "--no-shift", "--out", out)
    return next(path.parent for path in (folder / "demo").rglob("limbeck.toml"))


def _run(*line: str, cwd: Path | None = None) -> None:
    command = [sys.executable, "-m", "limbeck.cli.app", *line, "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=cwd)


def _students(workspace: Workspace) -> dict[str, tuple[Path, Policy]]:
    """The students by recipe, with their policies; one that has none yet is calibrated."""
    found = {}
    for recipe, risk in RISKS.items():
        folder = next(iter(sorted(workspace.students.glob(f"{TASK}-{recipe}-*"))), None)
        if folder is None:
            continue
        policy = read_policy(folder)
        if policy is None or policy.threshold is None:
            _run("calibrate", folder.name, "--max-risk", risk, cwd=workspace.root)
            policy = read_policy(folder)
        if policy is not None and policy.threshold is not None:
            found[recipe] = (folder, policy)
    if not found:
        sys.exit(f"no student in {workspace.root} has a policy; run without --workspace")
    return found


def _measure(workspace: Workspace, given: argparse.Namespace) -> dict[str, Any]:
    students, task = _students(workspace), workspace.task(TASK)
    number = int(given.rate * given.seconds)
    items = load(TASK).generate(number * given.rounds, seed=90_001)
    modes = [PLAIN, *students]
    before, rounds = read_promotion(workspace, TASK), []
    for at in range(given.rounds):
        turn: dict[str, Loaded] = {}
        for mode in modes[at % len(modes) :] + modes[: at % len(modes)]:
            if mode in students:
                promote(workspace, *students[mode])
            wanted = PLAIN if mode == PLAIN else "cascade"
            workspace.write_task(task.model_copy(update={"mode": wanted}))
            with _gateway(workspace, given.latency, wanted) as gateway:
                some = items[at * number : (at + 1) * number]
                turn[mode] = _load(gateway, task, some, given.rate, seed=at)
        plain = {one.number: one for one in turn[PLAIN].asked if one.status == 200}
        rounds.append({mode: _numbers(turn[mode], plain) for mode in modes})
    workspace.write_task(task)
    if before is not None:
        promote(workspace, workspace.students / before.student_folder, before.policy)
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
            "students": {
                recipe: {
                    "parameters": read_card(folder).parameters,
                    "max_risk": policy.max_risk,
                    "confidence": policy.confidence,
                    "audit_rate": policy.audit_rate,
                    "signals": policy.signals,
                }
                for recipe, (folder, policy) in students.items()
            },
        },
        "summary": {
            "teacher alone": _alone([one[PLAIN] for one in rounds]),
            **{
                recipe: _summary(recipe, rounds, policy.audit_rate)
                for recipe, (_, policy) in students.items()
            },
        },
        "rounds": rounds,
    }


@contextmanager
def _gateway(workspace: Workspace, latency_s: float, mode: str) -> Iterator[Running]:
    teacher = {"tasks": [TASK], "seed": 1, "latency_s": latency_s, "rates": NO_TROUBLE}
    with running("limbeck.capture.sandbox.server:create_app", teacher) as upstream:
        settings = {
            "upstreams": {"anthropic": {"base_url": upstream.url}},
            "say_who_answered": True,
        }
        answerer = "limbeck.serve.cascade:open_cascade" if mode == "cascade" else None
        arguments = {"workspace": str(workspace.root), "settings": settings, "answerer": answerer}
        with running("limbeck.serve.gateway:open_gateway", arguments) as gateway:
            yield gateway


class Loaded(NamedTuple):
    """The calls of one load, and the seconds of processor time that the gateway and its student took."""

    asked: list[Asked]
    cpu_s: float


def _load(gateway: Running, task: Task, items: Sequence[Item], rate: float, seed: int) -> Loaded:
    """Asks every item at its moment, whether or not earlier ones are answered."""
    draw = random.Random(seed)
    pool = urllib3.PoolManager(maxsize=THREADS, retries=False)
    with ThreadPoolExecutor(THREADS) as threads:
        # Connections, caches and the student are warm afterwards.
        list(threads.map(lambda item: _ask(pool, gateway.url, task, item, -1), items[:40]))
        cpu = cpu_seconds(gateway.process.pid)
        began, at, calls = time.perf_counter(), 0.0, []
        for number, item in enumerate(items):
            at += draw.expovariate(rate)
            time.sleep(max(0.0, began + at - time.perf_counter()))
            calls.append(threads.submit(_ask, pool, gateway.url, task, item, number))
        asked = [call.result() for call in calls]
        return Loaded(asked, cpu_seconds(gateway.process.pid) - cpu)


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


def _numbers(loaded: Loaded, plain: Mapping[int, Asked]) -> dict[str, Any]:
    good = [one for one in loaded.asked if one.status == 200]
    local = [one for one in good if one.local]
    escalated = [one for one in good if not one.local]
    added = [one.seconds - plain[one.number].seconds for one in escalated if one.number in plain]
    found: dict[str, Any] = {
        "calls": len(loaded.asked),
        "failed": len(loaded.asked) - len(good),
        "right": sum(one.right for one in good),
        "usd": round(sum(one.usd for one in good), 6),
        "local": len(local),
        "local_wrong": sum(not one.right for one in local),
        "cpu_ms_per_call": round(1000 * loaded.cpu_s / len(loaded.asked), 3),
        # What a call that is handed on waits longer than by way of the plain gateway.
        "escalated_adds_p50_s": round(float(np.median(added)), 5) if added else None,
    }
    for name, some in (("local", local), ("teacher", escalated), ("all", good)):
        times = [one.seconds for one in some]
        for share in (50, 95, 99):
            found[f"{name}_p{share}_s"] = (
                round(float(np.percentile(times, share)), 5) if times else None
            )
    return found


def _spread(rounds: Sequence[dict[str, Any]], key: str) -> list[float]:
    """The value of every round, least first."""
    return sorted(one[key] for one in rounds if one[key] is not None)


def _total(rounds: Sequence[dict[str, Any]], key: str) -> float:
    return float(sum(one[key] for one in rounds))


def _alone(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    calls = _total(rounds, "calls")
    return {
        "accuracy": round(_total(rounds, "right") / calls, 4),
        "usd_per_1000": round(1000 * _total(rounds, "usd") / calls, 4),
        "p50_s": _spread(rounds, "all_p50_s"),
        "p99_s": _spread(rounds, "all_p99_s"),
        "cpu_ms_per_call": _spread(rounds, "cpu_ms_per_call"),
        "failed": int(_total(rounds, "failed")),
    }


def _summary(recipe: str, rounds: Sequence[dict[str, Any]], audit_rate: float) -> dict[str, Any]:
    ours, plain = [one[recipe] for one in rounds], [one[PLAIN] for one in rounds]
    local, wrong = int(_total(ours, "local")), int(_total(ours, "local_wrong"))
    calls = int(_total(ours, "calls"))
    interval = clopper_pearson(wrong, local)
    p99 = _spread(ours, "local_p99_s")
    spent = _total(plain, "usd") / _total(plain, "calls")
    return {
        "local_share": round(local / calls, 4),
        "local_wrong_share": round(wrong / local, 4) if local else None,
        "local_wrong_interval": [round(interval.low, 4), round(interval.high, 4)],
        "accuracy": round(_total(ours, "right") / calls, 4),
        "usd_per_1000": round(1000 * _total(ours, "usd") / calls, 4),
        # Of the audits as many as the policy draws, each as dear as a call of the teacher's.
        "usd_per_1000_of_audits": round(1000 * audit_rate * local / calls * spent, 4),
        "times_the_cost_of_the_teacher_alone": round(_total(ours, "usd") / calls / spent, 4),
        "local_p50_s": _spread(ours, "local_p50_s"),
        "local_p99_s": p99,
        "escalated_adds_p50_s": _spread(ours, "escalated_adds_p50_s"),
        "cpu_ms_per_call": _spread(ours, "cpu_ms_per_call"),
        "failed": int(_total(ours, "failed")),
        "goal_local_p99_under_0.2_s": bool(p99) and float(np.median(p99)) < GOAL_S,
    }


if __name__ == "__main__":
    main()

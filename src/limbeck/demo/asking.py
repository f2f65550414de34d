"""Asks a teacher through the gateway, as any client would, and tells it later what was true."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from limbeck.capture.reply import read_reply
from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.tasks import TABLE, Item
from limbeck.demo.plan import Plan
from limbeck.errors import LimbeckError
from limbeck.models.dialects.table import dialect
from limbeck.models.remote import PROVIDERS, Question, Teacher
from limbeck.serve.running import running
from limbeck.types import Task
from limbeck.verify.table import judge
from limbeck.workspace import Workspace

WORKERS = 16
SIMULATED = "simulated-teacher"


@dataclass(frozen=True)
class Answered:
    """One call as its client saw it. `seconds` includes retries."""

    item: Item
    answer: str | None
    right: bool
    local: bool
    seconds: float
    tokens_in: int
    tokens_out: int


@contextlib.contextmanager
def upstream(plan: Plan, truth_log: Path) -> Iterator[dict[str, Any]]:
    """Gateway settings that lead to the teacher of the plan; starts the simulated one if need be."""
    if plan.teacher is not None:
        yield {"port": 0}
        return
    rates = FaultRates.of_total(plan.fault_rate) if plan.fault_rate else FaultRates.none()
    arguments = {
        "tasks": list(TABLE),
        "rates": rates.model_dump(),
        "seed": plan.seed,
        "latency_s": plan.latency_s,
        "truth_log": str(truth_log),
    }
    truth_log.parent.mkdir(parents=True, exist_ok=True)
    with running("limbeck.capture.sandbox.server:create_app", arguments) as teacher:
        upstreams = {"anthropic": {"base_url": teacher.url}}
        yield {"port": 0, "upstreams": upstreams, "say_who_answered": True}


@contextlib.contextmanager
def gateway(
    workspace: Workspace, settings: dict[str, Any], answerer: str | None = None
) -> Iterator[str]:
    """The URL of a gateway over the workspace, in a process of its own."""
    arguments = {"workspace": str(workspace.root), "settings": settings, "answerer": answerer}
    with running("limbeck.serve.gateway:open_gateway", arguments) as process:
        yield process.url


@contextlib.contextmanager
def through(
    plan: Plan, workspace: Workspace, truth_log: Path, answerer: str | None = None
) -> Iterator[str]:
    """The URL of a gateway over the workspace that leads to the teacher of the plan."""
    with upstream(plan, truth_log) as settings, gateway(workspace, settings, answerer) as url:
        yield url


def client(plan: Plan, url: str) -> Teacher:
    """What asks through the gateway: the same client as for a teacher, with another base URL."""
    provider, _, model = (plan.teacher or f"anthropic:{SIMULATED}").partition(":")
    spoken = dialect(PROVIDERS[provider])
    return Teacher(
        url if spoken.NAME == "anthropic" else f"{url}/v1", spoken.NAME, model, connections=WORKERS
    )


def ask_all(
    teacher: Teacher,
    task: Task,
    items: Sequence[Item],
    keys: Sequence[str],
    advance: Callable[[int], None],
) -> list[Answered | None]:
    """Asks every item; None where no reply came after all retries."""
    by_key = dict(zip(keys, items, strict=True))
    found: dict[str, Answered | None] = {}
    questions = (
        Question(system=task.instruction, user=item.input, task=task.name, correlation=key)
        for key, item in by_key.items()
    )
    for asked in teacher.ask_many(questions, workers=WORKERS):
        key = asked.question.correlation
        assert key is not None
        found[key] = None
        if asked.reply is not None:
            item = by_key[key]
            answer = read_reply(task, asked.reply.text, asked.reply.thinking).answer
            right = answer is not None and judge(task, answer, item.truth).score == 1.0
            found[key] = Answered(
                item=item,
                answer=answer,
                right=right,
                local=asked.headers.get("x-limbeck-answered-by") == "student",
                seconds=asked.seconds,
                tokens_in=asked.reply.usage.input,
                tokens_out=asked.reply.usage.output,
            )
        advance(len(found))
    return [found[key] for key in keys]


def attach_outcomes(
    url: str, pairs: Iterable[tuple[str, str]], source: str, *, name: str = "correlation"
) -> int:
    """Posts (name of the call, right answer) pairs to the gateway; returns how many were attached.

    `name` is `correlation` or `trace_id`; a call that was audited has one key and two traces.
    """
    attached = 0
    batch: list[dict[str, str]] = []
    pool = urllib3.PoolManager()

    def post() -> int:
        response = pool.request(
            "POST",
            f"{url}/limbeck/v1/outcomes",
            body=json.dumps(batch).encode(),
            headers={"content-type": "application/json"},
        )
        if response.status not in (200, 207):
            raise LimbeckError(
                f"the gateway refused the outcomes (HTTP {response.status}): {response.data[:200]!r}"
            )
        results = json.loads(response.data)["results"]
        return sum(result["status"] == 200 for result in results)

    for key, value in pairs:
        batch.append({name: key, "value": value, "source": source})
        if len(batch) == 500:
            attached += post()
            batch.clear()
    return attached + (post() if batch else 0)

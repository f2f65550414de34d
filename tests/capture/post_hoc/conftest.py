from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.post_hoc.batching import Batching, Service
from limbeck.capture.post_hoc.explaining import Explaining
from limbeck.capture.post_hoc.submissions import Submissions
from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.server import create_app
from limbeck.capture.sandbox.tasks import load
from limbeck.models.batches.connection import Connection
from limbeck.models.batches.table import batch_api
from limbeck.models.dialects.table import dialect
from limbeck.serve.running import running_in_thread
from limbeck.store.store import Store
from limbeck.types import Provenance, Task, Trace, Usage

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def task() -> Task:
    return load("refunds").task()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def bare() -> Callable[..., list[Trace]]:
    """So many traces with the right answer and no rationale."""

    def make(count: int, task: str = "refunds", **fields: Any) -> list[Trace]:
        provenance = Provenance(
            source=fields.pop("source", "gateway"),
            generator="simulated-teacher",
            dialect=fields.pop("dialect", "anthropic"),
        )
        usage = fields.pop("usage", Usage(input=100, output=5))
        return [
            Trace(
                task=task,
                input=item.input,
                raw=f"Answer: {item.truth}",
                usage=usage,
                provenance=provenance,
                **fields,
            )
            for item in load(task).generate(count, seed=1)
        ]

    return make


@pytest.fixture
def teacher() -> Iterator[Callable[..., str]]:
    """The URL of a simulated teacher with these rules for batches."""
    running = []

    def start(**rules: Any) -> str:
        app = create_app(rates=FaultRates.none().model_dump(), batches=rules)
        running.append(running_in_thread(app))
        return running[-1].__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


@pytest.fixture
def batching(tmp_path: Path, store: Store, task: Task) -> Callable[..., Batching]:
    """The batches of `task` at the teacher of that URL; it notes its waits and does not wait."""

    def make(url: str, task: Task = task, waits: list[float] | None = None) -> Batching:
        def connect(name: str) -> Service:
            base = url if name == "anthropic" else f"{url}/v1"
            connection = Connection(base, name, "k", attempts=2, sleep=lambda _: None)
            return Service(batch_api(connection), dialect(name), None)

        noted = waits if waits is not None else []
        submissions = Submissions(tmp_path / "home", task.name)
        return Batching(Explaining(store, task), submissions, connect, sleep=noted.append)

    return make

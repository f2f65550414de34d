from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from limbeck.capture.post_hoc.batching import Batching, Service
from limbeck.capture.post_hoc.submissions import Submissions
from limbeck.capture.sandbox.batches import Batches, BatchRules
from limbeck.curate.judge.asking import BATCH, Case
from limbeck.curate.judge.judging import Judging
from limbeck.models.batches.connection import Connection
from limbeck.models.batches.table import batch_api
from limbeck.models.call import Reply
from limbeck.models.dialects.table import Dialect, dialect
from limbeck.serve.running import running_in_thread
from limbeck.types import Task, Usage


@pytest.fixture
def cases() -> list[Case]:
    """More than go into one question."""
    return [Case(f"case {n}", f"Case {n} is so.", "deny") for n in range(BATCH + 2)]


class Judge:
    """Fails every second case, and says nothing of those in `silent`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.silent: set[int] = set()

    def reply(self, spoken: Dialect, body: object) -> Reply:
        user = spoken.read_request(body).user
        self.asked.append(user)
        numbers = [n for n in range(1, user.count("<case ") + 1) if n not in self.silent]
        said = [f"{n}: {'pass' if n % 2 else 'fail, it invents a fact'}" for n in numbers]
        usage = Usage(input=1000, output=100)
        return Reply(text="\n".join(said), stop_reason="end_turn", usage=usage, model="judge-x")


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def url(judge: Judge) -> Iterator[str]:
    """Where `judge` answers, at once and in batches that end at the second look."""

    async def answer(request: Request) -> JSONResponse:
        spoken = dialect("anthropic")
        return JSONResponse(spoken.write_reply(judge.reply(spoken, await request.json())))

    batches = Batches(judge.reply, BatchRules(looks=1), {}).routes()
    routes = [Route(dialect("anthropic").PATH, answer, methods=["POST"]), *batches]
    with running_in_thread(Starlette(routes=routes)) as running:
        yield running


@pytest.fixture
def batching(
    url: str, choice_task: Task, cases: list[Case], tmp_path: Path
) -> Callable[..., Batching]:
    """The batches of questions about `chains` at that judge; it does not wait."""

    def make(chains: list[Case] = cases) -> Batching:
        def connect(name: str) -> Service:
            base = url if name == "anthropic" else f"{url}/v1"
            connection = Connection(base, name, "k", attempts=2, sleep=lambda _: None)
            return Service(batch_api(connection), dialect(name), None)

        job = Judging(choice_task, tmp_path / "judge" / "triage.jsonl", tuple(chains))
        submissions = Submissions(tmp_path, choice_task.name, "judge")
        return Batching(job, submissions, connect, sleep=lambda _: None)

    return make

"""The simulated teacher: a real HTTP server that answers sandbox questions, and errs on purpose.

It speaks the Messages API, Chat Completions and Responses, streaming too, and their batch APIs, so
that everything between it and the trace store is the code of real use. What it knows about its own
mistakes goes to a file that nothing else reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from limbeck.capture.sandbox import faults
from limbeck.capture.sandbox.batches import Batches, BatchRules
from limbeck.capture.sandbox.judging import judge
from limbeck.capture.sandbox.tasks import ANSWER_MARKER, TABLE, Item, SandboxTask, load
from limbeck.errors import DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.table import TABLE as DIALECTS
from limbeck.models.dialects.table import Dialect, dialect
from limbeck.types import Usage

MODEL = "simulated-teacher"
MARK = {"x-limbeck-simulated": "1"}
CHARACTERS_A_TOKEN = 4
"""Roughly what the tokenizers of frontier models make of English."""
SIGNATURE = "c2ltdWxhdGVk"
_INPUT = re.compile(r"<input>\n(.*?)\n</input>", re.DOTALL)
"""Where the question stands when an explanation of its answer is asked for."""


def question(name: str) -> str:
    """A question of the sandbox task of that name, to try it with."""
    return load(name).generate(1, seed=0)[0].input


class SimulatedTeacher:
    """Answers questions of the sandbox tasks called `names`, wrong at the given rates.

    The same question has the same fault whenever it is asked with the same seed; what goes wrong on
    the way (429, 529, slowness) is drawn anew at each attempt. `latency_s` is added to every reply.
    """

    def __init__(
        self,
        names: Iterable[str] = tuple(TABLE),
        rates: faults.FaultRates | None = None,
        *,
        seed: int = 0,
        latency_s: float = 0.0,
        truth_log: TextIO | None = None,
    ) -> None:
        self._tasks = [load(name) for name in names]
        self._rates = rates if rates is not None else faults.FaultRates()
        self._seed = seed
        self._latency_s = latency_s
        self._truth_log = truth_log
        self._attempts: Counter[str] = Counter()

    async def answer(self, request: Request, dialect: Dialect) -> Response:
        """The response to one call, in its dialect."""
        request_id = f"req_{uuid.uuid4().hex}"
        headers = {**MARK, "request-id": request_id, "x-request-id": request_id}
        try:
            call = dialect.read_request(json.loads(await request.body()))
            judged = self._judged(call)
            if judged is not None:
                return JSONResponse(dialect.write_reply(judged), headers=headers)
            task, item = self._find(call)
        except (ValueError, DataError) as error:
            said = dialect.write_error(400, "invalid_request_error", str(error))
            return JSONResponse(said, 400, headers)
        trouble = faults.draw_trouble(self._rates, call.user, self._seed, self._attempts[call.user])
        self._attempts[call.user] += 1
        if trouble in ("http_429", "http_529"):
            return self._busy(dialect, trouble, headers)
        slow_s = self._rates.slow_seconds if trouble == "slow" else 0.0
        await asyncio.sleep(self._latency_s + slow_s)
        reply = self._reply(call, task, item, request_id)
        if not call.stream:
            return JSONResponse(dialect.write_reply(reply), headers=headers)
        events = dialect.write_stream(reply, with_usage=call.wants_usage)
        return StreamingResponse(_paced(events), headers=headers, media_type="text/event-stream")

    def batched(self, dialect: Dialect, body: Any) -> Reply:
        """The reply to a request of a batch. Raises ValueError and DataError."""
        call = dialect.read_request(body)
        reply = self._judged(call)
        if reply is None:
            task, item = self._find(call)
            reply = self._reply(call, task, item, f"req_{uuid.uuid4().hex}")
        usage = reply.usage.model_copy(update={"tier": "batch"})
        return replace(reply, usage=usage)

    def _judged(self, call: Call) -> Reply | None:
        """What it says as a judge, where it is asked as one; it never errs there."""
        said = judge(call.user, self._tasks)
        if said is None:
            return None
        return Reply(
            text=said,
            stop_reason="end_turn",
            usage=Usage(input=_tokens(call.system + call.user), output=_tokens(said)),
            model=MODEL,
            request_id=f"msg_{uuid.uuid4().hex}",
            created=int(time.time()),
        )

    def _find(self, call: Call) -> tuple[SandboxTask[Any], Item]:
        """The task by its instruction, else by whoever can read the question."""
        told = [task for task in self._tasks if task.instruction.strip() in call.system]
        inside = _INPUT.search(call.user)
        for task in told or self._tasks:
            with contextlib.suppress(DataError):
                return task, task.solve(inside[1] if inside else call.user)
        names = ", ".join(task.name for task in self._tasks)
        raise DataError(
            f"the simulated teacher cannot read the question {call.user[:80]!r}; "
            f"wanted one of the sandbox tasks that it was started with: {names}; "
            f"a question is {question(self._tasks[0].name)!r}"
        )

    def _busy(self, dialect: Dialect, trouble: str, headers: Mapping[str, str]) -> Response:
        wait_s = self._rates.retry_after_seconds
        if trouble == "http_529":
            said = dialect.write_error(529, "overloaded_error", "Overloaded (simulated)")
            return JSONResponse(said, 529, headers)
        asked = {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(int(wait_s * 1000))}
        said = dialect.write_error(429, "rate_limit_error", "Too many requests (simulated)")
        return JSONResponse(said, 429, {**headers, **asked})

    def _reply(self, call: Call, task: SandboxTask[Any], item: Item, request_id: str) -> Reply:
        fault = faults.draw(self._rates, call.user, self._seed)
        spoilt = faults.spoil(item, fault, faults.rng_of(call.user, self._seed), task)
        text, stop_reason, short = spoilt.text, spoilt.stop_reason, False
        if call.max_tokens is not None and _tokens(text) > call.max_tokens:
            text, short = text[: call.max_tokens * CHARACTERS_A_TOKEN], True
            stop_reason = "max_tokens"
        self._confess(call, task, item, spoilt, request_id, short)
        thinking, said = _divided(text) if call.thinking else (None, text)
        return Reply(
            text=said,
            thinking=thinking,
            signature=SIGNATURE if thinking is not None else None,
            stop_reason=stop_reason,
            usage=Usage(input=_tokens(call.system + call.user), output=_tokens(text)),
            model=MODEL,
            request_id=f"msg_{uuid.uuid4().hex}",
            created=int(time.time()),
        )

    def _confess(
        self,
        call: Call,
        task: SandboxTask[Any],
        item: Item,
        spoilt: faults.Reply,
        request_id: str,
        short: bool,
    ) -> None:
        if self._truth_log is None:
            return
        row = {
            "request_id": request_id,
            "task": task.name,
            "input": call.user,
            "truth": item.truth,
            "answer": spoilt.answer,
            "correct": spoilt.correct,
            "fault": spoilt.fault,
            "step": spoilt.step,
            "detail": spoilt.detail,
            "cut_by_token_limit": short,
        }
        self._truth_log.write(json.dumps(row) + "\n")
        self._truth_log.flush()


def create_app(
    tasks: Iterable[str] | None = None,
    rates: Mapping[str, Any] | None = None,
    seed: int = 0,
    latency_s: float = 0.0,
    truth_log: str | None = None,
    batches: Mapping[str, Any] | None = None,
) -> Starlette:
    """The simulated teacher as an ASGI application; the arguments are JSON.

    `rates` are those of FaultRates and `batches` those of BatchRules, by name; `truth_log` is the path
    of a JSONL file, appended to.
    Raises ConfigError for a task that there is not.
    """
    found = faults.FaultRates.model_validate(dict(rates)) if rates is not None else None
    log = Path(truth_log).open("a", encoding="utf-8") if truth_log is not None else None  # noqa: SIM115 - closed when the application stops
    teacher = SimulatedTeacher(
        tuple(TABLE) if tasks is None else tuple(tasks),
        found,
        seed=seed,
        latency_s=latency_s,
        truth_log=log,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if log is not None:
                log.close()

    routes = [
        Route(dialect(name).PATH, _answering(teacher, dialect(name)), methods=["POST"])
        for name in DIALECTS
    ]
    rules = BatchRules.model_validate(dict(batches or {}))
    routes += Batches(teacher.batched, rules, MARK).routes()
    return Starlette(routes=[*routes, Route("/v1/models", _models)], lifespan=lifespan)


def _answering(
    teacher: SimulatedTeacher, spoken: Dialect
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await teacher.answer(request, spoken)

    return answer


async def _models(request: Request) -> Response:
    # Both providers' clients find their fields here.
    model = {"id": MODEL, "type": "model", "object": "model", "display_name": "Simulated teacher"}
    return JSONResponse({"object": "list", "data": [model], "has_more": False}, headers=MARK)


async def _paced(events: Iterable[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event
        # Gives way, so that events leave one by one as those of a real teacher do.
        await asyncio.sleep(0)


def _divided(text: str) -> tuple[str, str]:
    """A reply as a thinking block and what is said: the chain, and the answer line."""
    at = text.rfind(ANSWER_MARKER)
    return (text[:at].strip(), text[at:]) if at >= 0 else (text.strip(), "")


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)

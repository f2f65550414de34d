"""A student behind a URL: `limbeck serve`, vLLM, or another server of the OpenAI-compatible completions.

It is asked as its recipe says, control tokens and all, and its tokens come back with their
log-probabilities, of which the policy's signals are read as from a student of this machine.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from limbeck.errors import StudentError
from limbeck.evaluate.signals.marks import Marked, mark
from limbeck.evaluate.signals.novelty import Novelty
from limbeck.evaluate.signals.reading import Reading
from limbeck.evaluate.signals.table import DEAR
from limbeck.models.controls import CONTROLS, END, PAD, control_token
from limbeck.models.local import Said
from limbeck.types import Ask, Policy, StudentCard, Task
from limbeck.verify.table import normalize

CALLS = 64
"""Calls that are asked at once, at most; the server writes them together."""
ANSWER_S = 60.0
"""Seconds of silence after which a call has failed."""
TOP = 5
"""Likeliest tokens that are asked for at each place: the best two may read alike."""
_NAMED = re.compile(r"<[^<>\s]+>")
"""How a token without a text of its own is shown."""
_SILENT = frozenset({*map(control_token, CONTROLS), END, PAD})


class StudentAtUrl:
    """Asks the server at `url`, with /v1, for the student of `card`.

    Raises StudentError where the recipe or the policy wants the student to be asked more than once.
    """

    def __init__(self, url: str, card: StudentCard, policy: Policy, task: Task) -> None:
        dear = [name for name in DEAR if name in policy.signals]
        if card.ask.asker is not None or card.ask.again is not None or dear:
            raise StudentError(
                f"the student of {task.name!r} is asked more than once for a call "
                f"({', '.join(dear) or card.recipe}), which one behind a URL is not; leave its URL out, or "
                "fit its policy without these signals"
            )
        self._url = f"{url.rstrip('/')}/completions"
        self._models = f"{url.rstrip('/')}/models"
        self._model: str | None = None
        self._card, self._policy, self._task = card, policy, task
        self._novelty = Novelty.unpack(policy.novelty) if policy.novelty else None
        self._pool = urllib3.PoolManager(
            maxsize=CALLS, retries=False, timeout=urllib3.Timeout(connect=5.0, read=ANSWER_S)
        )
        self._threads = ThreadPoolExecutor(CALLS, thread_name_prefix="student-url")

    async def __call__(self, text: str) -> Marked:
        """The marks of the reply to `text`. Raises StudentError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._marked, text)

    def close(self) -> None:
        """Ask nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    def _marked(self, text: str) -> Marked:
        said = read_completion(self._asked(text), self._card.ask)
        answer = said.answer and normalize(self._task, said.answer)
        reading = Reading(text, said, self._task, answer or None, (), self._novelty)
        return mark(self._policy, self._task, reading)

    def _asked(self, text: str) -> dict[str, Any]:
        if any(control_token(name) in text for name in CONTROLS):
            # In a prompt that is read as it stands it would steer the student.
            raise StudentError("the input has a control token in it")
        if self._model is None:
            self._model = str(self._sent("GET", self._models)["data"][0]["id"])
        asked = {
            "model": self._model,
            "prompt": prompt_of(text, self._card.ask),
            "max_tokens": self._card.max_new_tokens,
            "temperature": 0,
            "logprobs": TOP,
        }
        return self._sent("POST", self._url, json.dumps(asked).encode())

    def _sent(self, method: str, url: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"content-type": "application/json"}
        try:
            response = self._pool.request(method, url, body=body, headers=headers)
            if response.status != 200:
                said = response.data[:200].decode("utf-8", "replace")
                raise StudentError(f"the student's server answered {response.status}: {said}")
            found: dict[str, Any] = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise StudentError(
                f"the student's server at {url} cannot be asked ({type(error).__name__}); start it, or "
                "leave its URL out of limbeck.toml"
            ) from None
        return found


def prompt_of(text: str, ask: Ask) -> str:
    """What the student reads, as text: the input, the control token, and what it is made to begin with."""
    before, after, begin = "", "", ""
    if ask.frame is not None:
        before, after = ask.frame.before, ask.frame.after
        begin = ask.frame.open if ask.order == "rationale_answer" else ""
    return f"{before}{text}{after}{control_token(ask.control)}{begin}"


def read_completion(reply: dict[str, Any], ask: Ask) -> Said:
    """What a student wrote, from a completion with the log-probabilities of its tokens.

    Raises StudentError for one without them, or without the token that ends a reply.
    """
    try:
        [choice] = reply["choices"]
        told = choice["logprobs"]
        tokens = [str(token) for token in told["tokens"]]
        logprobs = [float(nats) for nats in told["token_logprobs"]]
        tops = [sorted(map(float, top.values()), reverse=True) for top in told["top_logprobs"]]
        ended = choice["finish_reason"] == "stop"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudentError(
            f"the student's server sent a completion without log-probabilities ({type(error).__name__}); "
            "it must give `logprobs` with tokens, token_logprobs and top_logprobs"
        ) from None
    stop = control_token("think") if ask.order == "answer_rationale" else None
    if stop in tokens:
        tokens, ended = tokens[: tokens.index(stop) + 1], True
    if ended and not (tokens and _NAMED.fullmatch(tokens[-1])):
        raise StudentError(
            "the student's server leaves out the token that ends a reply, of which the signals are read"
        )
    mark_of_answer = control_token("answer")
    at = 0
    if ask.order == "rationale_answer":
        at = tokens.index(mark_of_answer) + 1 if mark_of_answer in tokens else len(tokens) + 1
    whole = tokens[at:-1] if ended else []
    gaps = [_gap(one, top) for one, top in zip(logprobs, tops, strict=True)][at : len(tokens)]
    thought = logprobs[: max(0, at - 1)]
    rationale = _text(tokens[: max(0, at - 1)])
    if ask.frame is not None:
        rationale = rationale.removesuffix(ask.frame.close.strip()).strip()
    return Said(
        answer=_text(whole) or None,
        rationale=rationale or None,
        logprobs=tuple(logprobs[at : len(tokens)]),
        margin=min(gaps, default=0.0),
        rationale_logprob=math.fsum(thought) / len(thought) if thought else 0.0,
        new_tokens=len(tokens),
        stopped=ended,
    )


def _text(tokens: Sequence[str]) -> str:
    """What tokens say; those that only steer say nothing."""
    return "".join(token for token in tokens if token not in _SILENT).strip()


def _gap(chosen: float, top: Sequence[float]) -> float:
    """The lead of a greedy token over the next, in nats; at most what the others leave to it."""
    return chosen - top[1] if len(top) > 1 else -chosen

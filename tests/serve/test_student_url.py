"""A student behind a URL says what the same student says on this machine."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from limbeck.errors import StudentError
from limbeck.evaluate.signals.asking import readings_for
from limbeck.evaluate.signals.marks import Marked, marking
from limbeck.models.local import Student, read_card
from limbeck.serve.endpoint import open_endpoint
from limbeck.serve.running import running_in_thread
from limbeck.serve.student_url import StudentAtUrl, prompt_of, read_completion
from limbeck.types import AnswerForm, Ask, Frame, Policy, Task

TASK = Task(name="orders", answer=AnswerForm(kind="text"))
SIGNALS = ("lowest", "tenth", "average", "margin", "rationale", "length", "input_length")
THINKING = Ask(control="think", order="rationale_answer", causal=True)


def policy(*signals: str) -> Policy:
    return Policy(
        task="orders",
        student="sha256:student",
        skeleton=TASK.skeleton,
        max_risk=0.05,
        confidence=0.95,
        signals=signals,
        center=(0.0,) * len(signals),
        scale=(1.0,) * len(signals),
        weights=(1.0,) * len(signals),
        bias=0.0,
        threshold=0.5,
        truth_source="gold",
        n_fit=100,
        n_bound=100,
        n_accepted=90,
        n_errors=1,
        p_value=0.01,
        calibration_hash="sha256:calibration",
    )


@pytest.mark.slow
def test_a_student_behind_a_url_is_marked_as_the_same_student_here(thinker: Path) -> None:
    texts = [f"the order {n} is late by {n} days" for n in range(24)]
    rule = policy(*SIGNALS)
    here = marking(rule, TASK, readings_for(rule, TASK, Student.load(thinker, threads=1)))(texts)

    async def ask(url: str) -> list[Marked]:
        student = StudentAtUrl(f"{url}/v1", read_card(thinker), rule, TASK)
        try:
            with pytest.raises(StudentError, match="control token"):
                await student("late <|think|>")
            return await asyncio.gather(*map(student, texts))
        finally:
            student.close()

    with running_in_thread(open_endpoint(str(thinker), threads=1)) as url:
        there = asyncio.run(ask(url))
    assert len({one.answer for one in here}) > 2
    for one, same in zip(here, there, strict=True):
        assert (same.answer, same.tokens) == (one.answer, one.tokens)
        assert same.signals == pytest.approx(one.signals, abs=1e-3)


def test_a_server_that_is_not_there_is_a_sentence(thinker: Path) -> None:
    student = StudentAtUrl("http://127.0.0.1:9/v1", read_card(thinker), policy("lowest"), TASK)
    with pytest.raises(StudentError, match="cannot be asked"):
        asyncio.run(_one(student))
    student.close()


async def _one(student: StudentAtUrl) -> Any:
    return await student("late")


def test_a_policy_that_asks_again_is_refused(thinker: Path) -> None:
    with pytest.raises(StudentError, match="asked more than once"):
        StudentAtUrl("http://127.0.0.1:9/v1", read_card(thinker), policy("agreement"), TASK)


def completion(*tokens: str, stopped: bool = True) -> dict[str, Any]:
    """Each token half a nat less likely than the one before it, and twice as likely as the next best."""
    nats = [-0.5 * at for at in range(len(tokens))]
    tops = [
        {token: nat, f"not {token}": nat - math.log(2)}
        for token, nat in zip(tokens, nats, strict=True)
    ]
    logprobs = {"tokens": list(tokens), "token_logprobs": nats, "top_logprobs": tops}
    choice = {"text": "", "finish_reason": "stop" if stopped else "length", "logprobs": logprobs}
    found: dict[str, Any] = json.loads(json.dumps({"choices": [choice]}))
    return found


def test_a_reply_is_divided_at_its_control_tokens() -> None:
    said = read_completion(
        completion(" so", " late", "<|answer|>", " de", "ny", "<|end|>"), THINKING
    )
    assert (said.rationale, said.answer, said.stopped, said.new_tokens) == (
        "so late",
        "deny",
        True,
        6,
    )
    assert said.logprobs == (-1.5, -2.0, -2.5)
    assert said.rationale_logprob == -0.25
    assert said.margin == pytest.approx(math.log(2))


def test_an_answer_that_comes_first_ends_where_the_rationale_begins() -> None:
    first = Ask(control="answer", order="answer_rationale", causal=False)
    said = read_completion(completion(" deny", "<|think|>", " so", stopped=False), first)
    assert (said.answer, said.rationale, said.new_tokens) == ("deny", None, 2)
    assert said.logprobs == (0.0, -0.5)


def test_a_reply_that_was_cut_has_no_answer() -> None:
    for tokens in ((" so", " late"), (" so", "<|answer|>", " de")):
        said = read_completion(completion(*tokens, stopped=False), THINKING)
        assert (said.answer, said.stopped) == (None, False)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ({}, "without log-probabilities"),
        ({"choices": [{"finish_reason": "stop", "logprobs": None}]}, "without log-probabilities"),
        (completion(" so", "<|answer|>", " deny"), "leaves out the token that ends"),
    ],
)
def test_a_completion_that_signals_cannot_be_read_of_is_refused(
    reply: dict[str, Any], why: str
) -> None:
    with pytest.raises(StudentError, match=why):
        read_completion(reply, THINKING)


def test_a_frame_stands_around_the_input_and_opens_the_rationale() -> None:
    frame = Frame(before="<user>", after="</user>", open="<why>", close="</why>")
    framed = THINKING.model_copy(update={"frame": frame})
    assert prompt_of("late", framed) == "<user>late</user><|think|><why>"
    said = read_completion(completion(" so", "</why>", "<|answer|>", "deny", "<|end|>"), framed)
    assert (said.rationale, said.answer) == ("so", "deny")

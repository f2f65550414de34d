from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture import elicit
from limbeck.capture.elicit.prepare import DIALECTS, Prepared, how_much, prepare, reason_not
from limbeck.models.dialects import anthropic, openai_chat
from limbeck.types import AnswerForm, ElicitForm, Task, Usage

Ask = Callable[..., Prepared]

CALLS: dict[str, dict[str, Any]] = {
    "anthropic": anthropic.write_request(model="m", system="s", user="q"),
    "openai_chat": openai_chat.write_request(model="m", system="s", user="q"),
    "openai_responses": {"model": "m", "instructions": "s", "input": "q"},
}


def task(how: str, **form: Any) -> Task:
    return Task(
        name="t",
        answer=AnswerForm(kind="text"),
        elicit=ElicitForm.model_validate({"how": how, **form}),
    )


@pytest.mark.parametrize("part", ["requests", "replies"])
def test_every_dialect_has_its_file(part: str) -> None:
    folder = Path(str(elicit.__file__)).parent / part
    assert {file.stem for file in folder.glob("*.py")} - {"__init__"} == set(DIALECTS)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_body_of_the_client_is_left_alone(dialect: str) -> None:
    body = copy.deepcopy(CALLS[dialect])
    prepared = prepare(task("inline"), dialect, body, draw=0.0)
    assert prepared is not None
    assert body == CALLS[dialect]
    assert prepared.body != body
    assert prepared.plan.original is body


def test_a_share_of_the_calls_is_asked() -> None:
    form = task("inline", share=0.25)
    body = CALLS["anthropic"]
    assert prepare(form, "anthropic", body, draw=0.2499) is not None
    assert prepare(form, "anthropic", body, draw=0.25) is None
    assert prepare(task("inline"), "anthropic", body, draw=0.999) is not None
    assert prepare(task("inline", share=0.0), "anthropic", body, draw=0.0) is None


def test_nothing_is_asked_where_the_task_or_the_dialect_does_not_say_how() -> None:
    for form, dialect in ((task("never"), "anthropic"), (task("inline"), "morse")):
        assert prepare(form, dialect, CALLS["anthropic"], draw=0.0) is None
        assert reason_not(form, dialect, CALLS["anthropic"]) is not None


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": 3, "tools": "x", "text": 1}])
def test_a_body_of_another_shape_raises_nothing(dialect: str, body: dict[str, Any]) -> None:
    for how in ("inline", "schema"):
        prepare(task(how), dialect, body, draw=0.0)


def test_a_call_that_speaks_of_the_tags_itself_is_not_asked() -> None:
    body = anthropic.write_request(model="m", system="Use <rationale> tags.", user="q")
    assert "speaks of <rationale>" in (reason_not(task("inline"), "anthropic", body) or "")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_tiny_limit_cuts_the_answer_and_is_kept(dialect: str) -> None:
    limit = {"anthropic": "max_tokens", "openai_responses": "max_output_tokens"}
    name = limit.get(dialect, "max_completion_tokens")
    for tokens, asked in ((15, False), (16, True)):
        body = CALLS[dialect] | {name: tokens}
        prepared = prepare(task("inline", extra_tokens=50), dialect, body, draw=0.0)
        assert (prepared is not None) is asked
        assert prepared is None or prepared.body[name] == tokens + 50


def test_a_chain_of_turns_at_the_provider_is_watched_even_where_it_is_not_asked() -> None:
    body = CALLS["openai_responses"] | {"previous_response_id": "resp_0"}
    prepared = prepare(task("inline", share=0.0), "openai_responses", body, draw=0.5)
    assert prepared is not None
    assert prepared.body is body
    part = {"type": "output_text", "text": "<rationale>as before</rationale>Yes"}
    reply = {"output": [{"type": "message", "content": [part]}], "instructions": "s"}
    restored = prepared.restore(reply)
    assert restored.body["output"][0]["content"][0]["text"] == "Yes"
    assert restored.rationale == "as before"
    assert prepare(task("schema", share=0.0), "openai_responses", body, draw=0.5) is None


def test_the_extra_output_is_the_share_of_the_characters(ask: Ask) -> None:
    prepared = ask("inline", "anthropic", CALLS["anthropic"])
    tags = len("<rationale></rationale>")
    text = "<rationale>" + "w" * (75 - tags) + "</rationale>" + "y" * 25
    block = {"type": "text", "text": text}
    usage = {"input_tokens": 900, "output_tokens": 40}
    assert prepared.restore({"content": [block], "usage": usage}).extra_output == 30
    cost = how_much(prepared, Usage(input=900, output=40), "w" * 75, written=100)
    assert (cost.how, cost.extra_output) == ("inline", 30)
    assert cost.extra_input == -(-len(prepared.plan.asked) // 4)


def test_without_a_count_of_characters_a_token_is_four_of_them(ask: Ask) -> None:
    prepared = ask("inline", "anthropic", CALLS["anthropic"])
    usage = Usage(input=10, output=40, reasoning=20)
    assert how_much(prepared, usage, "w" * 30).extra_output == 8
    assert how_much(prepared, usage, "w" * 300).extra_output == 20
    assert how_much(prepared, usage, "w" * 30).extra_input == 10
    assert how_much(prepared, usage, None, written=100).extra_output == 0
    assert how_much(prepared, Usage(), "w", written=0).extra_output == 0

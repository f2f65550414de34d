from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from limbeck.capture.elicit.prepare import Prepared, reason_not
from limbeck.types import AnswerForm, ElicitForm, Task

Ask = Callable[..., Prepared]

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
TOOL = {"type": "function", "name": "file", "parameters": SCHEMA, "strict": True}
PLAIN = {"model": "m", "input": "q"}
FORM = {"text": {"verbosity": "low", "format": {"type": "json_schema", "schema": SCHEMA}}}
NAMED = {"type": "function", "name": "file"}
INLINE = Task(name="t", answer=AnswerForm(kind="text"), elicit=ElicitForm(how="inline"))
BY_SCHEMA = Task(name="t", answer=AnswerForm(kind="text"), elicit=ElicitForm(how="schema"))


def test_the_instruction_ends_the_instructions(ask: Ask) -> None:
    asked = ask("inline", "openai_responses", PLAIN).body["instructions"]
    assert asked.startswith("Before your reply")
    sent = ask("inline", "openai_responses", PLAIN | {"instructions": "s"}).body
    assert sent == {"model": "m", "input": "q", "instructions": f"s\n\n{asked}"}


@pytest.mark.parametrize(
    "more",
    [FORM, {"tools": [TOOL], "tool_choice": NAMED}, {"tools": [TOOL], "tool_choice": "required"}],
)
def test_the_property_is_put_into_the_schema_that_binds(ask: Ask, more: dict[str, Any]) -> None:
    prepared = ask("schema", "openai_responses", PLAIN | more | {"max_output_tokens": 50})
    schema = (
        prepared.body["tools"][0]["parameters"]
        if prepared.plan.tool
        else prepared.body["text"]["format"]["schema"]
    )
    assert list(schema["properties"]) == schema["required"] == ["rationale", "label"]
    assert prepared.body["max_output_tokens"] == 1074


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning": {"effort": "low"}},
        {"reasoning": {"summary": "auto"}},
        {"include": ["message.output_text.logprobs"]},
        {"top_logprobs": 3},
        {"background": True},
        {"prompt": {"id": "pmpt_1"}},
    ],
)
def test_some_calls_are_asked_in_no_way(more: dict[str, Any]) -> None:
    off = {"reasoning": {"effort": "none"}}
    assert reason_not(INLINE, "openai_responses", PLAIN | off) is None
    assert reason_not(BY_SCHEMA, "openai_responses", PLAIN | FORM | off) is None
    assert reason_not(INLINE, "openai_responses", PLAIN | more) is not None
    assert reason_not(BY_SCHEMA, "openai_responses", PLAIN | FORM | more) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [TOOL], "tool_choice": "required"},
        FORM,
        {"text": {"format": {"type": "json_object"}}},
        {"tools": [{"type": "web_search"}]},
        {"instructions": [{"role": "developer", "content": "s"}]},
    ],
)
def test_no_text_can_stand_before_some_replies(more: dict[str, Any]) -> None:
    assert reason_not(INLINE, "openai_responses", PLAIN | more) is not None


def test_a_reply_without_schema_or_with_several_tools_takes_no_property() -> None:
    many = {"tools": [TOOL, TOOL | {"name": "b"}], "tool_choice": "required"}
    for more in ({}, {"tools": [TOOL]}, many, {"text": {"format": {"type": "text"}}}):
        assert reason_not(BY_SCHEMA, "openai_responses", PLAIN | more) is not None

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from limbeck.capture.elicit.prepare import Prepared, reason_not
from limbeck.types import AnswerForm, ElicitForm, Task

Ask = Callable[..., Prepared]

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
TOOL = {"type": "function", "function": {"name": "file", "parameters": SCHEMA, "strict": True}}
USER = {"role": "user", "content": "q"}
PLAIN = {"model": "m", "messages": [USER]}
FORM = {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}
NAMED = {"type": "function", "function": {"name": "file"}}
INLINE = Task(name="t", answer=AnswerForm(kind="text"), elicit=ElicitForm(how="inline"))
BY_SCHEMA = Task(name="t", answer=AnswerForm(kind="text"), elicit=ElicitForm(how="schema"))


def test_the_instruction_ends_the_last_instruction_message(ask: Ask) -> None:
    def sent(*messages: dict[str, Any]) -> list[dict[str, Any]]:
        body = ask("inline", "openai_chat", PLAIN | {"messages": [*messages, USER]}).body
        assert body["messages"][-1] is USER
        return list(body["messages"][:-1])

    asked = sent()[0]["content"]
    assert sent() == [{"role": "system", "content": asked}]
    part = {"type": "text", "text": "s"}
    assert sent({"role": "system", "content": "a"}, {"role": "developer", "content": "b"}) == [
        {"role": "system", "content": "a"},
        {"role": "developer", "content": f"b\n\n{asked}"},
    ]
    assert sent({"role": "system", "content": [part]})[0]["content"] == [
        part,
        {"type": "text", "text": asked},
    ]
    assert sent({"role": "system", "content": None})[0]["content"] == asked


def test_both_names_of_the_limit_are_raised_and_none_is_set(ask: Ask) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        assert ask("inline", "openai_chat", PLAIN | {name: 50}).body[name] == 1074
    assert "max_tokens" not in ask("inline", "openai_chat", PLAIN).body


@pytest.mark.parametrize(
    "more",
    [FORM, {"tools": [TOOL], "tool_choice": NAMED}, {"tools": [TOOL], "tool_choice": "required"}],
)
def test_the_property_is_put_into_the_schema_that_binds(ask: Ask, more: dict[str, Any]) -> None:
    prepared = ask("schema", "openai_chat", PLAIN | more)
    schema = (
        prepared.body["tools"][0]["function"]["parameters"]
        if prepared.plan.tool
        else prepared.body["response_format"]["json_schema"]["schema"]
    )
    assert list(schema["properties"]) == schema["required"] == ["rationale", "label"]
    assert TOOL["function"]["parameters"] is SCHEMA  # type: ignore[index]  # as written above


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning_effort": "low"},
        {"thinking": {"type": "enabled"}},
        {"reasoning": {"effort": "high"}},
        {"stop": "\n"},
        {"stop": ["\n"]},
        {"logprobs": True},
        {"modalities": ["text", "audio"]},
        {"guided_choice": ["a", "b"]},
        {"messages": [USER, {"role": "assistant", "content": "{"}]},
        {"messages": []},
    ],
)
def test_some_calls_are_asked_in_no_way(more: dict[str, Any]) -> None:
    off = {"reasoning_effort": "none", "reasoning": {"enabled": False}, "stop": None}
    assert reason_not(INLINE, "openai_chat", PLAIN | off) is None
    assert reason_not(BY_SCHEMA, "openai_chat", PLAIN | FORM | off) is None
    assert reason_not(INLINE, "openai_chat", PLAIN | more) is not None
    assert reason_not(BY_SCHEMA, "openai_chat", PLAIN | FORM | more) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": NAMED},
        {"function_call": {"name": "file"}},
        FORM,
        {"response_format": {"type": "json_object"}},
        {"web_search_options": {}},
        {"prediction": {"type": "content", "content": "x"}},
    ],
)
def test_no_text_can_stand_before_some_replies(more: dict[str, Any]) -> None:
    assert reason_not(INLINE, "openai_chat", PLAIN | more) is not None


def test_a_reply_without_schema_or_with_several_tools_takes_no_property() -> None:
    many = [TOOL, {"type": "function", "function": {"name": "b", "parameters": SCHEMA}}]
    for more in (
        {},
        {"tools": [TOOL]},
        {"tools": many, "tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
    ):
        assert reason_not(BY_SCHEMA, "openai_chat", PLAIN | more) is not None

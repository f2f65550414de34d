from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from limbeck.capture.elicit.prepare import Prepared, reason_not
from limbeck.types import AnswerForm, ElicitForm, Task

Ask = Callable[..., Prepared]

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
TOOL = {"name": "file", "input_schema": SCHEMA, "strict": True}
PLAIN = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "q"}]}
INLINE = Task(name="t", answer=AnswerForm(kind="text"), elicit=ElicitForm(how="inline"))
BY_SCHEMA = Task(name="t", answer=AnswerForm(kind="text"), elicit=ElicitForm(how="schema"))


def test_the_instruction_is_the_last_block_of_the_system_prompt(ask: Ask) -> None:
    cached = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    for system, before in (
        (None, []),
        ("", []),
        ("s", [{"type": "text", "text": "s"}]),
        ([cached], [cached]),
    ):
        body = PLAIN | ({} if system is None else {"system": system})
        sent = ask("inline", "anthropic", body, wording="Say why.").body
        assert sent["system"][:-1] == before
        assert "Say why." in sent["system"][-1]["text"]
        assert sent["max_tokens"] == 1124
        assert sent["messages"] is PLAIN["messages"]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"output_config": {"effort": "low", "format": {"type": "json_schema"}}}, ("format",)),
        ({"tool_choice": {"type": "tool", "name": "file"}}, ("tools",)),
        ({"tool_choice": {"type": "any"}}, ("tools",)),
    ],
)
def test_the_property_is_put_into_the_schema_that_binds(
    ask: Ask, more: dict[str, Any], path: tuple[str]
) -> None:
    body: dict[str, Any] = PLAIN | {"tools": [TOOL]} | more
    if "output_config" in body:
        body["output_config"]["format"]["schema"] = SCHEMA
    prepared = ask("schema", "anthropic", body, field="why")
    in_tool = path == ("tools",)
    schema = (
        prepared.body["tools"][0]["input_schema"]
        if in_tool
        else prepared.body["output_config"]["format"]["schema"]
    )
    assert list(schema["properties"]) == schema["required"] == ["why", "label"]
    assert prepared.plan.tool == ("file" if in_tool else None)
    assert prepared.body["max_tokens"] == 1124
    assert body["tools"][0] is TOOL


@pytest.mark.parametrize(
    "more",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"thinking": {"type": "adaptive"}},
        {"stop_sequences": ["\n"]},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "{"}]},
        {"messages": []},
    ],
)
def test_some_calls_are_asked_in_no_way(more: dict[str, Any]) -> None:
    bound = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    assert reason_not(INLINE, "anthropic", PLAIN) is None
    assert reason_not(BY_SCHEMA, "anthropic", PLAIN | bound) is None
    assert reason_not(INLINE, "anthropic", PLAIN | more) is not None
    assert reason_not(BY_SCHEMA, "anthropic", PLAIN | bound | more) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "file"}},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"mcp_servers": [{"url": "x"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "document", "citations": {"enabled": True}}]}
            ]
        },
    ],
)
def test_no_text_can_stand_before_some_replies(more: dict[str, Any]) -> None:
    assert reason_not(INLINE, "anthropic", PLAIN | more) is not None


def test_tools_that_may_be_called_do_not_matter() -> None:
    free = PLAIN | {
        "tools": [TOOL],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "disabled"},
    }
    assert reason_not(INLINE, "anthropic", free) is None
    assert "no tool is prescribed" in (reason_not(BY_SCHEMA, "anthropic", free) or "")


def test_a_tool_with_examples_or_of_many_takes_no_property() -> None:
    forced = {"tool_choice": {"type": "any"}}
    for tools in ([TOOL | {"input_examples": [{"label": "x"}]}], [TOOL, TOOL | {"name": "b"}]):
        assert reason_not(BY_SCHEMA, "anthropic", PLAIN | forced | {"tools": tools}) is not None

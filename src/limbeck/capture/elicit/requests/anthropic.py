"""Asking for a rationale in a request of the Anthropic Messages API."""

from __future__ import annotations

from typing import Any

from limbeck.capture.elicit.plan import SchemaPlace
from limbeck.models.dialects.fields import mapping, sequence, text

LIMITS = ("max_tokens",)


def hindrance(body: dict[str, Any]) -> str | None:
    """Why no rationale can be asked for in any way; None where it can."""
    if text(mapping(body.get("thinking")).get("type")) not in (None, "disabled"):
        return "the call thinks already"
    if body.get("stop_sequences"):
        return "a stop sequence of the client could cut the rationale"
    messages = sequence(body.get("messages"))
    if not messages or mapping(messages[-1]).get("role") == "assistant":
        return "the client has begun the reply itself"
    return None


def inline_hindrance(body: dict[str, Any]) -> str | None:
    """Why no rationale can stand before the text; None where it can."""
    if mapping(body.get("tool_choice")).get("type") in ("any", "tool"):
        return "the reply must be a tool call; ask by schema"
    if mapping(body.get("output_config")).get("format") or body.get("output_format"):
        return "the reply must be JSON; ask by schema"
    tools = map(mapping, sequence(body.get("tools")))
    if body.get("mcp_servers") or any(t.get("type") not in (None, "custom") for t in tools):
        return "a tool of the provider may cite, which divides the text"
    if _cites(body):
        return "citations divide the text"
    return None


def _cites(body: dict[str, Any]) -> bool:
    blocks = (
        mapping(block)
        for message in sequence(body.get("messages"))
        for block in sequence(mapping(message).get("content"))
    )
    return any(mapping(block.get("citations")).get("enabled") is True for block in blocks)


def with_instruction(body: dict[str, Any], instruction: str) -> dict[str, Any]:
    """The request with `instruction` as the last block of its system prompt.

    What stands before it, cache marks among it, keeps its bytes: a prompt cache still finds it.
    """
    system = body.get("system")
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) and system else system
    return {**body, "system": [*sequence(blocks), {"type": "text", "text": instruction}]}


def schema_place(body: dict[str, Any]) -> SchemaPlace | None:
    """Where the schema stands that the reply must follow; None where there is none."""
    choice = mapping(body.get("tool_choice"))
    tools = [mapping(tool) for tool in sequence(body.get("tools"))]
    if choice.get("type") in ("any", "tool"):
        one = choice.get("type") == "any" and len(tools) == 1
        for index, tool in enumerate(tools):
            named = one or (tool.get("name") is not None and tool.get("name") == choice.get("name"))
            # Examples without the new property would no longer follow the schema.
            if named and not tool.get("input_examples"):
                return SchemaPlace(("tools", index, "input_schema"), text(tool.get("name")))
        return None
    if mapping(body.get("output_config")).get("format"):
        return SchemaPlace(("output_config", "format", "schema"))
    return SchemaPlace(("output_format", "schema")) if body.get("output_format") else None


def stored_turns(body: dict[str, Any]) -> bool:
    """Whether earlier replies stand with the provider, a rationale still in them."""
    return False

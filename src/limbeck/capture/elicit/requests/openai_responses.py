"""Asking for a rationale in a request of the OpenAI Responses API."""

from __future__ import annotations

from typing import Any

from limbeck.capture.elicit.plan import SchemaPlace
from limbeck.models.dialects.fields import mapping, sequence, text

LIMITS = ("max_output_tokens",)
_OWN_TOOLS = ("function", "custom")


def hindrance(body: dict[str, Any]) -> str | None:
    """Why no rationale can be asked for in any way; None where it can."""
    reasoning = mapping(body.get("reasoning"))
    if reasoning.get("effort") not in (None, "none") or reasoning.get("summary"):
        return "the call thinks already"
    logprobs = "message.output_text.logprobs" in sequence(body.get("include"))
    if logprobs or body.get("top_logprobs"):
        return "the client reads log-probabilities of every token of the reply"
    if body.get("background"):
        return "the reply is fetched later"
    if body.get("prompt"):
        return "the instructions stand with the provider"
    return None


def inline_hindrance(body: dict[str, Any]) -> str | None:
    """Why no rationale can stand before the text; None where it can."""
    if body.get("tool_choice") not in (None, "auto", "none"):
        return "the reply must be a tool call; ask by schema"
    if mapping(mapping(body.get("text")).get("format")).get("type") not in (None, "text"):
        return "the reply must be JSON; ask by schema"
    if any(mapping(t).get("type") not in _OWN_TOOLS for t in sequence(body.get("tools"))):
        return "a tool of the provider may cite places in the text"
    if not isinstance(body.get("instructions"), str | None):
        return "the instructions are no text"
    return None


def with_instruction(body: dict[str, Any], instruction: str) -> dict[str, Any]:
    """The request with `instruction` at the end of its instructions."""
    before = text(body.get("instructions"))
    return {**body, "instructions": f"{before}\n\n{instruction}" if before else instruction}


def schema_place(body: dict[str, Any]) -> SchemaPlace | None:
    """Where the schema stands that the reply must follow; None where there is none."""
    choice = body.get("tool_choice")
    tools = [mapping(tool) for tool in sequence(body.get("tools"))]
    if choice not in (None, "auto", "none"):
        for index, tool in enumerate(tools):
            name = text(tool.get("name"))
            named = name == mapping(choice).get("name")
            if (
                name
                and tool.get("type") == "function"
                and (named or (choice == "required" and len(tools) == 1))
            ):
                return SchemaPlace(("tools", index, "parameters"), name)
        return None
    if mapping(mapping(body.get("text")).get("format")).get("type") == "json_schema":
        return SchemaPlace(("text", "format", "schema"))
    return None


def stored_turns(body: dict[str, Any]) -> bool:
    """Whether earlier replies stand with the provider, a rationale still in them."""
    return bool(body.get("previous_response_id") or body.get("conversation"))

"""Asking for a rationale in a request of OpenAI Chat Completions."""

from __future__ import annotations

from typing import Any

from limbeck.capture.elicit.plan import SchemaPlace
from limbeck.models.dialects.fields import mapping, sequence, text

LIMITS = ("max_completion_tokens", "max_tokens")
_INSTRUCTION_ROLES = ("system", "developer")
_GRAMMARS = ("grammar", "guided_choice", "guided_grammar", "guided_json", "guided_regex")
"""What vLLM and others take besides `response_format` to bind the reply's form."""


def hindrance(body: dict[str, Any]) -> str | None:
    """Why no rationale can be asked for in any way; None where it can."""
    if _thinks(body):
        return "the call thinks already"
    if body.get("stop"):
        return "a stop sequence of the client could cut the rationale"
    if body.get("logprobs"):
        return "the client reads log-probabilities of every token of the reply"
    if "audio" in sequence(body.get("modalities")):
        return "the reply is spoken"
    if any(body.get(name) for name in (*_GRAMMARS, "structured_outputs")):
        return "the reply is bound to a grammar"
    messages = sequence(body.get("messages"))
    if not messages or mapping(messages[-1]).get("role") == "assistant":
        return "the client has begun the reply itself"
    return None


def _thinks(body: dict[str, Any]) -> bool:
    if body.get("reasoning_effort") not in (None, "none"):
        return True
    if mapping(body.get("thinking")).get("type") not in (None, "disabled"):
        return True
    reasoning = mapping(body.get("reasoning"))
    off = reasoning.get("enabled") is False or reasoning.get("effort") == "none"
    return bool(reasoning) and not off


def inline_hindrance(body: dict[str, Any]) -> str | None:
    """Why no rationale can stand before the text; None where it can."""
    free = (None, "auto", "none")
    if body.get("tool_choice") not in free or body.get("function_call") not in free:
        return "the reply must be a tool call; ask by schema"
    if mapping(body.get("response_format")).get("type") not in (None, "text"):
        return "the reply must be JSON; ask by schema"
    if body.get("web_search_options") is not None:
        return "citations point at places in the text"
    if body.get("prediction"):
        return "the client predicts the text"
    return None


def with_instruction(body: dict[str, Any], instruction: str) -> dict[str, Any]:
    """The request with `instruction` at the end of its instructions.

    It goes into the last of the instruction messages at the beginning: templates of open models take
    no second one.
    """
    messages = list(sequence(body.get("messages")))
    last = 0
    while last < len(messages) and mapping(messages[last]).get("role") in _INSTRUCTION_ROLES:
        last += 1
    if not last:
        return {**body, "messages": [{"role": "system", "content": instruction}, *messages]}
    content = messages[last - 1].get("content")
    if isinstance(content, list):
        longer: Any = [*content, {"type": "text", "text": instruction}]
    else:
        longer = f"{content}\n\n{instruction}" if content else instruction
    messages[last - 1] = {**messages[last - 1], "content": longer}
    return {**body, "messages": messages}


def schema_place(body: dict[str, Any]) -> SchemaPlace | None:
    """Where the schema stands that the reply must follow; None where there is none."""
    choice = body.get("tool_choice")
    tools = [mapping(tool) for tool in sequence(body.get("tools"))]
    if choice not in (None, "auto", "none"):
        wanted = mapping(mapping(choice).get("function")).get("name")
        for index, tool in enumerate(tools):
            name = text(mapping(tool.get("function")).get("name"))
            if name and (name == wanted or (choice == "required" and len(tools) == 1)):
                return SchemaPlace(("tools", index, "function", "parameters"), name)
        return None
    if mapping(body.get("response_format")).get("type") == "json_schema":
        return SchemaPlace(("response_format", "json_schema", "schema"))
    return None


def stored_turns(body: dict[str, Any]) -> bool:
    """Whether earlier replies stand with the provider, a rationale still in them."""
    return False

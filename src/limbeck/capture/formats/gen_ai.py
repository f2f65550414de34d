"""The names of OpenTelemetry's conventions for generative AI, which are still in development.

They stand here and nowhere else: the importer reads them, and what writes spans uses them too.

Source: OpenTelemetry, "Semantic conventions for generative AI systems" (attributes registry, spans and
events), https://opentelemetry.io/docs/specs/semconv/gen-ai/; the older names as in its releases 1.26 to
1.36 and in OpenLLMetry.
"""

from __future__ import annotations

PREFIX = "gen_ai."

OPERATION = "gen_ai.operation.name"
OPERATIONS = ("chat", "text_completion", "generate_content")
"""The operations that ask a model for words; others run tools, agents or embeddings."""
PROVIDER = "gen_ai.provider.name"
PROVIDER_OLD = "gen_ai.system"
CONVERSATION = "gen_ai.conversation.id"

REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
OUTPUT_TYPE = "gen_ai.output.type"

INPUT_TOKENS = "gen_ai.usage.input_tokens"
"""Includes what was read from a cache and written to one."""
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_TOKENS_OLD = "gen_ai.usage.prompt_tokens"
OUTPUT_TOKENS_OLD = "gen_ai.usage.completion_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"

PROMPT_OLD = "gen_ai.prompt"
"""`gen_ai.prompt.0.role`, or the whole prompt as JSON."""
COMPLETION_OLD = "gen_ai.completion"

EVENT_DETAILS = "gen_ai.client.inference.operation.details"
EVENT_PROMPT_OLD = "gen_ai.content.prompt"
EVENT_COMPLETION_OLD = "gen_ai.content.completion"
EVENT_CHOICE_OLD = "gen_ai.choice"
EVENT_MESSAGES_OLD = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
"""The role of the message that an event of an older release tells."""

FINISHED = {
    "stop": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_call": "tool_calls",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
"""Finish reasons in the words of Chat Completions; the conventions leave the words open."""

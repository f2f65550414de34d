"""Small exports of every tool, written by hand in the shape that its documents give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from limbeck.types import AnswerForm, Task

Rows = list[dict[str, Any]]
ASKED = [
    {"role": "system", "content": "Answer yes or no."},
    {"role": "user", "content": "Is a limpet a mollusc?"},
]
CHAT_BODY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_780_000_000,
    "model": "gpt-5-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It has a foot.\nAnswer: yes"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29},
}
MESSAGE_BODY: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "It has a foot.", "signature": "c2ln"},
        {"type": "text", "text": "Answer: yes"},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 20,
        "output_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "service_tier": "batch",
    },
}


def otlp(*attributes: tuple[str, Any], **more: Any) -> dict[str, Any]:
    """One span in the envelope of OTLP."""
    pairs = [{"key": key, "value": any_value(value)} for key, value in attributes]
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "chat gpt-5-mini",
        "startTimeUnixNano": "1780000000000000000",
        "endTimeUnixNano": "1780000001500000000",
        "attributes": pairs,
        **more,
    }
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    if isinstance(value, dict):
        values = [{"key": key, "value": any_value(one)} for key, one in value.items()]
        return {"kvlistValue": {"values": values}}
    return {"stringValue": value}


SAMPLES: Mapping[str, Rows] = {
    "messages": [
        {
            "messages": [
                *ASKED,
                {"role": "assistant", "reasoning": "It has a foot.", "content": "yes"},
            ]
        },
        {
            "messages": [
                {"role": "user", "content": "Is a whelk a plant?"},
                {"role": "assistant", "content": "<think>It is an animal.</think>no"},
            ]
        },
    ],
    "prompt_completion": [
        {"prompt": "Is a limpet a mollusc?", "completion": "It has a foot.\nAnswer: yes"},
        {
            "prompt": ASKED,
            "completion": [{"role": "assistant", "thinking": "It has a foot.", "content": "yes"}],
        },
    ],
    "openai_stored": [{**CHAT_BODY, "metadata": {"correlation": "order-7"}, "messages": ASKED}],
    "openai_batch": [
        {
            "id": "batch_req_1",
            "custom_id": "row-1",
            "response": {"status_code": 200, "request_id": "req_1", "body": CHAT_BODY},
            "error": None,
        }
    ],
    "anthropic_batch": [
        {"custom_id": "row-1", "result": {"type": "succeeded", "message": MESSAGE_BODY}}
    ],
    "langfuse": [
        {
            "id": "obs-1",
            "traceId": "tr-1",
            "type": "GENERATION",
            "name": "shellfish",
            "startTime": "2026-05-28T20:26:40.000Z",
            "endTime": "2026-05-28T20:26:41.500Z",
            "completionStartTime": None,
            "model": "gpt-5-mini",
            "modelParameters": {"temperature": 0},
            "input": ASKED,
            "output": {"role": "assistant", "content": "It has a foot.\nAnswer: yes"},
            "usageDetails": {"input": 16, "input_cached_tokens": 4, "output": 9, "total": 29},
            "costDetails": {"input": 0.00001, "output": 0.00002, "total": 0.00003},
            "metadata": {"correlation": "order-7"},
            "level": "DEFAULT",
            "parentObservationId": None,
        },
        {
            "id": "obs-0",
            "traceId": "tr-1",
            "type": "SPAN",
            "startTime": "2026-05-28T20:26:39.000Z",
            "input": {"question": "Is a limpet a mollusc?"},
            "output": None,
            "usageDetails": {},
        },
    ],
    "openinference": [
        {
            "name": "ChatCompletion",
            "span_kind": "LLM",
            "context": {"trace_id": "tr-1", "span_id": "sp-1"},
            "parent_id": None,
            "start_time": "2026-05-28T20:26:40+00:00",
            "end_time": "2026-05-28T20:26:41.500000+00:00",
            "status_code": "OK",
            "attributes": {
                "openinference.span.kind": "LLM",
                "llm.model_name": "gpt-5-mini",
                "llm.input_messages.0.message.role": "system",
                "llm.input_messages.0.message.content": "Answer yes or no.",
                "llm.input_messages.1.message.role": "user",
                "llm.input_messages.1.message.content": "Is a limpet a mollusc?",
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.content": "It has a foot.\nAnswer: yes",
                "llm.token_count.prompt": 20,
                "llm.token_count.completion": 9,
                "llm.token_count.total": 29,
                "llm.token_count.prompt_details.cache_read": 4,
                "metadata": '{"correlation": "order-7"}',
            },
        }
    ],
    "litellm": [
        {
            "request_id": "chatcmpl-1",
            "call_type": "acompletion",
            "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "spend": 0.00003,
            "total_tokens": 29,
            "prompt_tokens": 20,
            "completion_tokens": 9,
            "startTime": "2026-05-28T20:26:40.000Z",
            "endTime": "2026-05-28T20:26:41.500Z",
            "model": "gpt-5-mini",
            "cache_hit": "False",
            "end_user": "customer-3",
            "metadata": {"spend_logs_metadata": {"correlation": "order-7"}},
            "messages": ASKED,
            "response": CHAT_BODY,
        }
    ],
    "tensorzero": [
        {
            "type": "chat",
            "function_name": "shellfish",
            "variant_name": "mini",
            "inference_id": "0197-1",
            "episode_id": "0197-0",
            "timestamp": "2026-05-28T20:26:40Z",
            "input": {
                "system": "Answer yes or no.",
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Is a limpet a mollusc?"}],
                    }
                ],
            },
            "output": [
                {"type": "thought", "text": "It has a foot."},
                {"type": "text", "text": "yes"},
            ],
            "dispreferred_outputs": [],
            "processing_time_ms": 1500,
            "tags": {"user_id": "customer-3", "correlation": "order-7"},
            "metrics": {"correct": True, "delight": 0.7},
        }
    ],
    "otlp": [
        otlp(
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-5-mini"),
            ("gen_ai.response.model", "gpt-5-mini"),
            ("gen_ai.response.id", "chatcmpl-1"),
            ("gen_ai.response.finish_reasons", ["stop"]),
            ("gen_ai.usage.input_tokens", 20),
            ("gen_ai.usage.output_tokens", 9),
            ("gen_ai.usage.cache_read.input_tokens", 4),
            (
                "gen_ai.system_instructions",
                json.dumps([{"type": "text", "content": "Answer yes or no."}]),
            ),
            (
                "gen_ai.input.messages",
                json.dumps(
                    [
                        {
                            "role": "user",
                            "parts": [{"type": "text", "content": "Is a limpet a mollusc?"}],
                        }
                    ]
                ),
            ),
            (
                "gen_ai.output.messages",
                json.dumps(
                    [
                        {
                            "role": "assistant",
                            "parts": [
                                {"type": "reasoning", "content": "It has a foot."},
                                {"type": "text", "content": "yes"},
                            ],
                            "finish_reason": "stop",
                        }
                    ]
                ),
            ),
        )
    ],
}
REQUESTS: Mapping[str, Rows] = {
    "openai_batch": [
        {
            "custom_id": "row-1",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-5-mini", "messages": ASKED},
        }
    ],
    "anthropic_batch": [
        {
            "custom_id": "row-1",
            "params": {
                "model": "claude-sonnet-4-5",
                "max_tokens": 1024,
                "system": "Answer yes or no.",
                "messages": [{"role": "user", "content": "Is a limpet a mollusc?"}],
            },
        }
    ],
}


@pytest.fixture
def task() -> Task:
    return Task(
        name="shellfish",
        instruction="Answer yes or no.",
        answer=AnswerForm(kind="choice", choices=("yes", "no")),
    )


@pytest.fixture
def sample() -> Callable[[str], Rows]:
    """The rows of a format, fresh."""
    return lambda name: json.loads(json.dumps(SAMPLES[name]))


@pytest.fixture
def sent() -> Callable[[str], Rows]:
    """The requests that the rows of a format answer; none for most."""
    return lambda name: json.loads(json.dumps(REQUESTS.get(name, [])))


@pytest.fixture
def span() -> Callable[..., dict[str, Any]]:
    return otlp

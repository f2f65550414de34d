from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.litellm import read

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]


def call(row: dict[str, Any]) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def test_a_row_of_the_spend_logs_is_a_call(sample: Sample) -> None:
    made = call(sample("litellm")[0])
    assert (made.call.user, made.dialect) == ("Is a limpet a mollusc?", "openai_chat")
    assert (made.request_id, made.correlation, made.subject) == (
        "chatcmpl-1",
        "order-7",
        "customer-3",
    )
    assert (made.cost_usd, made.latency_s) == (0.00003, 1.5)
    assert made.usage is not None
    assert (made.usage.input, made.usage.output) == (20, 9)


def test_json_may_stand_in_texts(sample: Sample) -> None:
    [row] = sample("litellm")
    packed = {
        key: json.dumps(row[key]) if key in ("messages", "response", "metadata") else row[key]
        for key in row
    }
    assert call(packed) == call(row)


def test_the_standard_payload_has_other_names(sample: Sample) -> None:
    [row] = sample("litellm")
    payload = {
        "id": "chatcmpl-1",
        "call_type": "completion",
        "response_cost": 0.00003,
        "startTime": 1780000000.0,
        "endTime": 1780000001.5,
        "status": "success",
        "model": "gpt-5-mini",
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "messages": row["messages"],
        "response": {"role": "assistant", "content": "yes"},
        "model_parameters": {"tools": [{"type": "function", "function": {"name": "look"}}]},
    }
    made = call(payload)
    assert (made.request_id, made.latency_s, made.reply.text) == ("chatcmpl-1", 1.5, "yes")
    assert made.usage is not None
    assert made.usage.input == 20
    assert made.call.has_tools


def test_the_messages_may_stand_in_the_request_alone(sample: Sample) -> None:
    [row] = sample("litellm")
    asked = [{"role": "user", "content": "Is it?"}]
    sent = {"system": "Be brief.", "messages": asked}
    made = call({**row, "messages": {}, "proxy_server_request": sent})
    assert (made.call.system, made.call.user) == ("Be brief.", "Is it?")


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"call_type": "aembedding"}, "not a model call (aembedding)"),
        ({"status": "failure"}, "the call failed"),
        ({"cache_hit": "True"}, "the reply came from LiteLLM's cache"),
        (
            {"messages": {}, "response": {}},
            "the prompt or the reply was not kept; set store_prompts_in_spend_logs: true",
        ),
    ],
)
def test_what_is_no_call_says_why(over: dict[str, Any], reason: str, sample: Sample) -> None:
    assert list(read({**sample("litellm")[0], **over}, None)) == [Skipped(reason)]

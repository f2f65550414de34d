"""The official clients find the batch endpoints as they expect them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.server import create_app
from limbeck.capture.sandbox.tasks import load
from limbeck.models.dialects.table import dialect
from limbeck.serve.running import running_in_thread

PERFECT = FaultRates.none().model_dump()
ITEMS = load("refunds").generate(4, seed=1)


def body(name: str, text: str) -> dict[str, Any]:
    instruction = load("refunds").instruction
    return dialect(name).write_request(model="m", system=instruction, user=text)


@pytest.fixture
def url() -> Iterator[str]:
    faults = ["errored", "expired", "canceled"]
    with running_in_thread(create_app(rates=PERFECT, batches={"faults": faults})) as url:
        yield url


def test_the_client_of_anthropic_makes_lists_and_reads_batches(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        requests: Any = [
            {"custom_id": f"c{n}", "params": body("anthropic", item.input)}
            for n, item in enumerate(ITEMS)
        ]
        batch = client.messages.batches.create(requests=requests)
        assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 4)
        assert client.messages.batches.retrieve(batch.id).processing_status == "in_progress"
        ended = client.messages.batches.retrieve(batch.id)
        assert ended.processing_status == "ended"
        assert ended.request_counts.succeeded == 1
        assert [one.id for one in client.messages.batches.list()] == [batch.id]
        results = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    kinds = [results[f"c{n}"].type for n in range(4)]
    assert kinds == ["errored", "expired", "canceled", "succeeded"]
    last = results["c3"]
    assert last.type == "succeeded"
    assert last.message.usage.service_tier == "batch"
    [block] = last.message.content
    assert block.type == "text"
    assert block.text.endswith(f"Answer: {ITEMS[3].truth}")


def test_the_client_of_openai_uploads_makes_and_reads_batches(url: str) -> None:
    lines = [
        json.dumps(
            {
                "custom_id": f"c{n}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": body("openai_chat", item.input),
            }
        )
        for n, item in enumerate(ITEMS)
    ]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        file = io.BytesIO("\n".join(lines).encode())
        uploaded = client.files.create(file=("requests.jsonl", file), purpose="batch")
        batch = client.batches.create(
            input_file_id=uploaded.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"mine": "yes"},
        )
        assert client.batches.retrieve(batch.id).status == "in_progress"
        ended = client.batches.retrieve(batch.id)
        assert (ended.status, ended.metadata) == ("expired", {"mine": "yes"})
        assert [one.id for one in client.batches.list()] == [batch.id]
        assert ended.output_file_id
        assert ended.error_file_id
        [row] = [json.loads(x) for x in client.files.content(ended.output_file_id).iter_lines()]
        errors = [json.loads(x) for x in client.files.content(ended.error_file_id).iter_lines()]
    assert row["custom_id"] == "c3"
    reply = dialect("openai_chat").read_reply(row["response"]["body"])
    assert reply.text.endswith(f"Answer: {ITEMS[3].truth}")
    assert [error["custom_id"] for error in errors] == ["c0", "c1", "c2"]


def test_a_question_inside_a_request_for_an_explanation_is_answered(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        params: Any = body("anthropic", f"<input>\n{ITEMS[0].input}\n</input>\n\nWhy?")
        [block] = client.messages.create(**params).content
    assert block.type == "text"
    assert block.text.endswith(f"Answer: {ITEMS[0].truth}")
